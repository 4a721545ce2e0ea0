#!lua
-- map.lua: from a provider's message ids to ours. Writing one again changes nothing but its life.
--
-- KEYS  the mappings
-- ARGV  1 how long they live (s), then our id for each
-- reply how many

local ttl, call = ARGV[1], redis.call
for i = 1, #KEYS do
	call('SET', KEYS[i], ARGV[i + 1], 'EX', ttl)
end
return #KEYS
