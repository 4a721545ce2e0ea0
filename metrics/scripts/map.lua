#!lua
-- map.lua: from a provider's message ids to ours. Writing one again changes nothing but its life.
--
-- KEYS  the mappings
-- ARGV  1 how long they live (s), then our id for each
-- reply how many

local ttl = ARGV[1]
for i = 1, #KEYS do
	redis.call('SET', KEYS[i], ARGV[i + 1], 'EX', ttl)
end
return #KEYS
