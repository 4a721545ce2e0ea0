-- claim.lua: who may send (behind common.lua). The table in the design: nothing or queued: go; ours: go, renewed; a living owner's:
-- busy; a lost owner's: one uncertain, then the policy; settled or another position: duplicate (that of a queued one too: it comes
-- back to it, and one of two places must be counted once); too late: lapsed.
-- It ends a message only where a take-over's policy does; lapsed, cancelled and duplicate are answers, which the caller then
-- writes by outcome.
--
-- KEYS  the n records, then the cohorts
-- ARGV  1 n, 2 now (ms, the caller's wall clock), 3 retention (s), 4 retention of the cohorts (s), 5 most resends,
--       6 ms for which nobody is taken over for a lease that is past, 7 the number of labels, the labels (campaign|country);
--       then per message a head of bytes (flags: 1 past its expiry; policy; cohort; label; lease in ms, 3 bytes) and our record
--       up to its lease, which is appended here by Redis' own time.
-- reply n where every message is new and ours; else a list of what is not so: {index, answer, ...}.

local n, now = tonumber(ARGV[1]), tonumber(ARGV[2])
local retention, most, quiet_ms = ARGV[3], tonumber(ARGV[5]), tonumber(ARGV[6])
local labels, at = 7, 8 + tonumber(ARGV[7])
local t = redis.call('TIME')
local time = t[1] * 1000 + floor(t[2] / 1000)
local lease_ms, lease = -1, ''

local function facts(i, answer, r, taken)
	local _, bits = ids_of(r)
	return { i, answer, r[CLAIMS], r[ATTEMPTS], bits, taken, r[UNCERTAIN], r[ACCEPTED], r[ACCEPTED] + (r[CLAIMED] or 0) }
end

local function too_late(i, r)
	local _, bits = ids_of(r)
	return facts(i, (r[UNCERTAIN] > 0 or bits > 0) and IS_FAILED or IS_LAPSED, r, 0)
end

local function write(i, r)
	redis.call('SET', KEYS[i], encode(r), 'KEEPTTL')
end

local function own(r, p)
	r[STATE] = SENDING
	r[INCARNATION], r[EPOCH], r[INSTANCE], r[LEASE] = p[INCARNATION], p[EPOCH], p[INSTANCE], p[LEASE]
	r[TOPIC], r[PARTITION], r[OFFSET] = p[TOPIC], p[PARTITION], p[OFFSET]
	r[CLAIMS] = r[CLAIMS] + 1
end

local function claim_queued(i, r, p, k, late)
	if late then
		return too_late(i, r)
	end
	if not r[CLAIMED] then
		local field = label(p) .. 'accepted'
		if not movable(k, field) then
			return { i, BAD, 'counter' }
		end
		move(k, field, 1)
		r[CLAIMED] = math.max(0, now - r[ACCEPTED])
		r[CAMPAIGN], r[COUNTRY], r[PARTS] = p[CAMPAIGN], p[COUNTRY], p[PARTS]
	end
	own(r, p)
	local reply = facts(i, GO, r, 0)
	write(i, r)
	return reply
end

local function take_over(i, r, p, k, late, policy)
	local stamp = r[ACCEPTED] + r[CLAIMED]
	if not in_cohort(k, stamp) then
		return { i, COHORT, stamp }
	end
	local fields, answer = label(r, r[PROVIDER]), IS_FAILED
	if policy == RESEND and not late then
		answer = r[UNCERTAIN] < most and GO or IS_HELD
	elseif policy == HOLD then
		answer = IS_HELD
	end
	local ends = answer == IS_HELD and HELD or answer == IS_FAILED and FAILED
	if not movable(k, fields .. 'uncertain') or ends and not movable(k, fields .. NAMES[ends]) then
		return { i, BAD, 'counter' }
	end
	move(k, fields .. 'uncertain', 1)
	r[UNCERTAIN], r[ATTEMPTS] = r[UNCERTAIN] + 1, r[ATTEMPTS] + 1
	if ends then
		-- The token stays: it is its send that is uncertain, and its outcome still settles this.
		r[STATE], r[ERROR], r[ENDED] = ends, 'uncertain', math.max(r[CLAIMED], now - r[ACCEPTED])
		r[INSTANCE], r[LEASE] = false, false
		move(k, fields .. NAMES[ends], 1)
	else
		own(r, p)
	end
	local reply = facts(i, answer, r, 1)
	write(i, r)
	return reply
end

local function claim_sending(i, r, p, k, late, policy)
	if r[INSTANCE] == p[INSTANCE] then
		if r[INCARNATION] ~= p[INCARNATION] then
			return take_over(i, r, p, k, late, policy)      -- its process is dead: the run directory's lock says so
		elseif r[EPOCH] == p[EPOCH] then
			if late then
				return too_late(i, r)
			end
			r[LEASE] = p[LEASE]
			local reply = facts(i, GO, r, 0)
			write(i, r)
			return reply
		end
	end
	if r[LEASE] > time then
		return { i, BUSY, r[LEASE] - time }
	elseif quiet_ms > 0 then
		return { i, BUSY, quiet_ms }
	end
	return take_over(i, r, p, k, late, policy)
end

-- Of our own position: with the record, for the caller to write it again should Redis lose it before the offset is committed.
local function duplicate(i, r, p, old)
	local same = same_position(r, p)
	local reply = { i, DUPLICATE, r[STATE], same and 1 or 0, r[ACCEPTED], r[ACCEPTED] + (r[CLAIMED] or 0), r[PROVIDER] or '',
		r[CAMPAIGN], r[COUNTRY], same and old or '' }
	for _, id in pairs((ids_of(r))) do
		if id and id ~= '' then
			reply[#reply + 1] = id
		end
	end
	return reply
end

local function existing(i, old, ours, k, late, policy)
	local r, why = decode(old)
	if not r then
		return { i, BAD, why }
	end
	local p = cmsgpack.unpack(ours)
	if r[STATE] == QUEUED and (not r[TOPIC] or same_position(r, p)) then
		return claim_queued(i, r, p, k, late)
	elseif r[STATE] == SENDING and same_position(r, p) then
		return claim_sending(i, r, p, k, late, policy)
	elseif r[STATE] == CANCELLED and (not r[TOPIC] or same_position(r, p)) then
		return facts(i, IS_CANCELLED, r, 0)
	end
	return duplicate(i, r, p, old)
end

local slots, replies, try = {}, {}, redis.pcall
for i = 1, n do
	local flags, policy, k, l, x, y, z = byte(ARGV[at], 1, 7)
	local slot, ours = slots[k * 256 + l], ARGV[at + 1]
	at = at + 2
	if slot == nil then
		local field = '|' .. ARGV[labels + l] .. '|accepted'
		slot = { k = n + k, field = field, n = 0, ok = movable(n + k, field) }
		slots[k * 256 + l] = slot
	end
	local ms = x * 65536 + y * 256 + z
	if ms ~= lease_ms then
		lease_ms, lease = ms, cmsgpack.pack(time + ms)
	end
	ours = ours .. lease
	local old
	if flags == 1 or not slot.ok then
		old = try('GET', KEYS[i])
	else
		-- SET with NX and GET in one would be slower: a look-up more for those that are new, which nearly all are.
		old = not try('SET', KEYS[i], ours, 'NX', 'EX', retention) and try('GET', KEYS[i])
	end
	if old then
		local ok, reply = pcall(existing, i, old, ours, n + k, flags == 1, policy)
		replies[#replies + 1] = ok and reply or { i, BAD, tostring(reply) }
	elseif flags == 1 then
		replies[#replies + 1] = { i, IS_LAPSED }
	elseif not slot.ok then
		replies[#replies + 1] = { i, BAD, 'counter' }
	else
		slot.n = slot.n + 1
	end
end
for _, slot in pairs(slots) do
	if slot.n > 0 then
		move(slot.k, slot.field, slot.n)
	end
end
apply(ARGV[4])
return #replies == 0 and n or replies
