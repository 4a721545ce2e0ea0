#!lua
-- common.lua: the first half of claim and outcome: the record's fields, reading it, moving the cohorts' counters.
-- The record is a MessagePack array (README.md of metrics/); `false` stands for absent, missing elements at the end too.

local STATE, INCARNATION, EPOCH, CLAIMS, TOPIC, PARTITION, OFFSET, ATTEMPTS, UNCERTAIN, ACCEPTED, CLAIMED, CAMPAIGN, COUNTRY,
	PARTS, PROVIDER, SENT_AT, IDS, ERROR, ENDED, INSTANCE, LEASE, EXTRAS, DUPLICATES =
	1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23
local LAST = 23

-- States, and answers to the caller: the values of store.h.
local QUEUED, SENDING, SENT, UNKNOWN, REFUSED, FAILED, LAPSED, CANCELLED, HELD = 1, 2, 3, 8, 9, 10, 11, 12, 13
local NAMES = { 'queued', 'sending', 'sent', 'delivered', 'undelivered', 'expired', 'rejected', 'unknown', 'refused', 'failed',
	'lapsed', 'cancelled', 'held' }
local RESEND, HOLD = 1, 2
local GO, BUSY, DUPLICATE, IS_CANCELLED, IS_LAPSED, IS_HELD, IS_FAILED, BAD, COHORT = 1, 2, 3, 4, 5, 6, 7, 8, 9

-- What each element may be: n number, s string, t table, f false.
local TYPES = { 'n', 'n', 'n', 'n', 'sf', 'nf', 'nf', 'n', 'n', 'n', 'nf', 's', 's', 'n', 'sf', 'nf', 'stf', 'sf', 'nf', 'sf', 'nf',
	'tf', 'tf' }
local LETTER = { number = 'n', string = 's', table = 't' }
local byte, sub, find, floor = string.byte, string.sub, string.find, math.floor

-- The record as a table, or nil and why not. Only reads.
local function decode(bytes)
	if type(bytes) ~= 'string' then
		return nil, type(bytes) == 'table' and bytes.err or 'no string'
	end
	local ok, r, more = pcall(cmsgpack.unpack, bytes)
	if not ok or type(r) ~= 'table' or more ~= nil or #r > LAST then
		return nil, 'not one MessagePack array'
	end
	for i = 1, LAST do
		local v = r[i]
		if v == nil then
			r[i] = false
			v = false
		end
		if not find(TYPES[i], v == false and 'f' or LETTER[type(v)] or '?', 1, true) then
			return nil, 'element ' .. i .. ' is a ' .. type(v)
		end
	end
	if not NAMES[r[STATE]] or r[STATE] == SENDING and not (r[LEASE] and r[CLAIMED]) then
		return nil, 'no such state'
	end
	return r
end

-- The record's bytes: what is absent at the end is left out, but never so much that the array's header would change its size.
local function encode(r)
	local last = LAST
	while last > 17 and not r[last] do
		r[last] = nil
		last = last - 1
	end
	return cmsgpack.pack(r)
end

local function same_position(r, p)
	return r[TOPIC] == p[TOPIC] and r[PARTITION] == p[PARTITION] and r[OFFSET] == p[OFFSET]
end

-- Ids of the parts as a table, and the bits of those that were accepted.
local function ids_of(r)
	local ids, bits = r[IDS], 0
	if type(ids) ~= 'table' then
		ids = { ids }
	end
	for i = 1, r[PARTS] do
		if ids[i] then
			bits = bits + 2 ^ (i - 1)
		end
	end
	return ids, bits
end

-- Counters. KEYS[k] is a cohort's hash; moves are summed per key and field and made at the end, by apply(). A field that could not
-- be moved (wrong type, no integer) is found out before anything is written: movable() comes first.
local readable, moves, fresh = {}, {}, {}

local function movable(k, field)
	local fields = readable[k]
	if not fields then
		fields = {}
		readable[k], moves[k] = fields, {}
	end
	if fields[field] == nil then
		local v = redis.pcall('HGET', KEYS[k], field)
		fields[field] = not v or type(v) == 'string' and #v < 16 and find(v, '^%-?%d+$') ~= nil
		fresh[k] = fresh[k] or not v
	end
	return fields[field]
end

local function move(k, field, by)
	moves[k][field] = (moves[k][field] or 0) + by
end

local function apply(ttl_s)
	for k, fields in pairs(moves) do
		for field, by in pairs(fields) do
			if by ~= 0 then
				redis.call('HINCRBY', KEYS[k], field, by)
			end
		end
		if fresh[k] then
			redis.call('EXPIRE', KEYS[k], ttl_s, 'NX')
		end
	end
end

-- Whether KEYS[k] is the hash of the cohort that a record claimed at `ms` belongs to.
local function in_cohort(k, ms)
	return floor(ms / 60000) == tonumber(string.match(KEYS[k], ':r:(%d+)$'))
end

local function label(r, provider)
	return (provider or '') .. '|' .. r[CAMPAIGN] .. '|' .. r[COUNTRY] .. '|'
end
