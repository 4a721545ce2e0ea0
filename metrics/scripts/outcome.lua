-- outcome.lua: what became of a send (behind common.lua). Idempotent: a repeat by the same token changes nothing, a record that was
-- lost is made anew from what the caller proposes, with the counts that were lost with it.
-- The provider's word (sent, refused) counts from any token; an owner's own decision (failed, lapsed, ...) only from the last.
--
-- KEYS  the n records, then the cohorts
-- ARGV  1 n, 2 now (ms, the caller's wall clock), 3 retention (s), 4 retention of the cohorts (s), 5 most resends,
--       6 the number of labels, the labels (provider|campaign|country); then per message a head of bytes (step; policy, + 16 past
--       its expiry; cohort; label; bytes of the token; bytes of our record as claimed, 2, or 0: unknown; part) and the record as it
--       should be.
-- reply n where all is written as proposed; else a list: {index, answer, extra sends, uncertain ones, ...}.

local SETTLE, PART, RELEASE, UNKNOWABLE, DUPLICATED = 1, 2, 3, 4, 5
local DONE, REMEMBERED, GRACE_MS = 0, 16, 30000
local n, now, retention, most = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[5])
local labels, at = 6, 7 + tonumber(ARGV[6])

-- A change is prepared in `c` (the moves it needs) and made by commit() once all of them are known to be possible.
local function commit(i, r, c, extra, uncertain)
	for field in pairs(c.moves) do
		if not movable(c.k, field) then
			return { i, BAD, 'counter' }
		end
	end
	local stamp = r[ACCEPTED] + r[CLAIMED]
	if next(c.moves) and not in_cohort(c.k, stamp) then
		return { i, COHORT, stamp }
	end
	for field, by in pairs(c.moves) do
		move(c.k, field, by)
	end
	if c.new then
		redis.call('SET', KEYS[i], encode(r), 'EX', retention)
	else
		redis.call('SET', KEYS[i], encode(r), 'KEEPTTL')
	end
	if c.answer or extra or uncertain then
		return { i, c.answer or DONE, extra or 0, uncertain or 0 }
	end
end

local function add(c, field, by)
	c.moves[field] = (c.moves[field] or 0) + by
end

local function done(i, answer)
	return answer and { i, answer, 0, 0 } or nil
end

-- Remembers a word in a short list; false where it is there already.
local function remember(r, element, word)
	local list = r[element] or {}
	for _, known in ipairs(list) do
		if known == word then
			return false
		end
	end
	if #list < REMEMBERED then
		list[#list + 1] = word
	end
	r[element] = list
	return true
end

local function token(p, part)
	return p[INCARNATION] .. '.' .. p[EPOCH] .. '.' .. p[CLAIMS] .. (part and '.' .. part or '')
end

local function is_own(r, p)
	return r[INCARNATION] == p[INCARNATION] and r[EPOCH] == p[EPOCH] and r[CLAIMS] == p[CLAIMS] and same_position(r, p)
end

local function take_token(r, p)
	r[INCARNATION], r[EPOCH], r[CLAIMS] = p[INCARNATION], p[EPOCH], p[CLAIMS]
	r[TOPIC], r[PARTITION], r[OFFSET] = p[TOPIC], p[PARTITION], p[OFFSET]
	r[ATTEMPTS] = math.max(r[ATTEMPTS], p[ATTEMPTS])
end

-- Claims that Redis lost with their counts: what we know of more than the record does.
local function catch_up(r, p, c)
	if p[UNCERTAIN] > r[UNCERTAIN] then
		add(c, label(r) .. 'uncertain', p[UNCERTAIN] - r[UNCERTAIN])
		r[UNCERTAIN] = p[UNCERTAIN]
	end
end

-- A record that somebody found and writes again brings what others had counted in it. True: there was something to make up for.
local function catch_up_words(r, p, c)
	local fields, more = { [EXTRAS] = label(r, p[PROVIDER]) .. 'extra_sends', [DUPLICATES] = label(r) .. 'duplicates' }, false
	local settled = r[STATE] >= SENT and token(r)   -- who settles it now is no extra one, whatever came first before
	for element, field in pairs(fields) do
		for _, word in ipairs(p[element] or {}) do
			if word ~= settled and remember(r, element, word) then
				add(c, field, 1)
				more = true
			end
		end
	end
	return more
end

-- A record that was never claimed (the API's, a tombstone) gets its cohort here.
local function first_claim(r, p, c)
	r[PARTS] = math.max(r[PARTS], p[PARTS])
	if not r[CLAIMED] then
		r[STATE], r[CLAIMED], r[CAMPAIGN], r[COUNTRY] = QUEUED, math.max(0, now - r[ACCEPTED]), p[CAMPAIGN], p[COUNTRY]
		add(c, label(r) .. 'accepted', 1)
	end
end

local function merge_ids(r, p)
	if r[PARTS] == 1 then
		r[IDS] = p[IDS]
		return
	end
	local ids, theirs = ids_of(r), (ids_of(p))
	for part = 1, r[PARTS] do
		ids[part] = theirs[part] and theirs[part] ~= '' and theirs[part] or ids[part] or theirs[part] or false
	end
	r[IDS] = ids
end

local function finish(r, state, p, c)
	local stamp = math.max(r[CLAIMED], (state == SENT and p[SENT_AT] or p[ENDED]) or 0)
	if r[STATE] > UNKNOWN then
		add(c, label(r, r[PROVIDER]) .. NAMES[r[STATE]], -1)
	end
	r[STATE], r[PROVIDER], r[ERROR] = state, p[PROVIDER], p[ERROR]
	r[INSTANCE], r[LEASE] = false, false
	if state == SENT then
		r[SENT_AT], r[ENDED] = stamp, false
		merge_ids(r, p)
	else
		r[ENDED] = stamp
	end
	add(c, label(r, r[PROVIDER]) .. NAMES[state], 1)
end

local function settle_sent(i, r, p, c, more)
	if r[STATE] >= SENT and r[STATE] <= UNKNOWN then
		if is_own(r, p) or not remember(r, EXTRAS, token(p)) then
			return more and commit(i, r, c) or nil
		end
		add(c, label(r, p[PROVIDER]) .. 'extra_sends', 1)
		return commit(i, r, c, 1)
	end
	first_claim(r, p, c)
	catch_up(r, p, c)
	finish(r, SENT, p, c)
	take_token(r, p)
	return commit(i, r, c)
end

-- Whether a word that is not `sent` ends what the record says now.
local function may_end(r, p)
	local state = r[STATE]
	if r[TOPIC] and not same_position(r, p) then
		return false
	elseif state == QUEUED then
		return p[STATE] == REFUSED or not r[TOPIC] or r[CLAIMS] <= p[CLAIMS]
	elseif state == SENDING then
		-- More uncertain ones: it was taken over and ended there, which Redis has lost since.
		return is_own(r, p) or p[CLAIMS] > r[CLAIMS] or p[UNCERTAIN] > r[UNCERTAIN]
	elseif state == HELD or state == FAILED and r[ERROR] == 'uncertain' then
		return p[STATE] ~= state and p[STATE] ~= HELD and (p[STATE] == REFUSED or is_own(r, p))
	elseif state == CANCELLED then
		return not r[TOPIC] and p[STATE] == CANCELLED    -- a tombstone that its record has reached
	end
	return false
end

local function settle(i, r, p, c)
	local more = (p[EXTRAS] or p[DUPLICATES]) and r[CLAIMED] and catch_up_words(r, p, c)
	if p[STATE] == SENT then
		return settle_sent(i, r, p, c, more)
	end
	if not may_end(r, p) then
		return more and commit(i, r, c) or nil
	end
	first_claim(r, p, c)
	catch_up(r, p, c)
	local state = p[STATE]
	local _, bits = ids_of(r)
	if (state == LAPSED or state == CANCELLED) and (r[UNCERTAIN] > 0 or bits > 0) then
		state = FAILED          -- lapsed and cancelled mean: never written
		p[ERROR] = r[UNCERTAIN] > 0 and 'uncertain' or p[ERROR] or 'partial'
	end
	finish(r, state, p, c)
	take_token(r, p)
	return commit(i, r, c)
end

local function part_accepted(i, r, p, c, part)
	first_claim(r, p, c)
	local ids = ids_of(r)
	local id = (ids_of(p))[part] or ''
	if ids[part] and (ids[part] == id or is_own(r, p) or not remember(r, EXTRAS, token(p, part))) then
		return nil
	elseif ids[part] then
		add(c, label(r, p[PROVIDER]) .. 'extra_sends', 1)
		return commit(i, r, c, 1)
	end
	for k = 1, r[PARTS] do
		ids[k] = ids[k] or false
	end
	ids[part] = id
	r[IDS] = ids
	r[PROVIDER] = r[PROVIDER] or p[PROVIDER]
	r[ATTEMPTS] = math.max(r[ATTEMPTS], p[ATTEMPTS])
	return commit(i, r, c)
end

-- `unconfirmed`: its owner was cancelled before it knew how many claims there were.
local function release(i, r, p, c, unconfirmed)
	if unconfirmed == 1 then
		p[CLAIMS] = r[CLAIMS]
	end
	if r[STATE] ~= SENDING or not is_own(r, p) then
		return nil
	end
	r[STATE], r[INSTANCE], r[LEASE] = QUEUED, false, false
	r[ATTEMPTS] = math.max(r[ATTEMPTS], p[ATTEMPTS])
	return commit(i, r, c)
end

local function unknowable(i, r, p, c, policy, late)
	if r[STATE] ~= SENDING or not is_own(r, p) and p[CLAIMS] <= r[CLAIMS] then
		return done(i, is_own(r, p) and (r[STATE] == HELD and IS_HELD or r[STATE] == FAILED and IS_FAILED) or GO)
	end
	catch_up(r, p, c)
	add(c, label(r, p[PROVIDER]) .. 'uncertain', 1)
	c.answer = IS_FAILED
	if policy == RESEND and not late then
		c.answer = r[UNCERTAIN] < most and GO or IS_HELD
	elseif policy == HOLD then
		c.answer = IS_HELD
	end
	r[UNCERTAIN] = r[UNCERTAIN] + 1
	if c.answer == GO then
		r[STATE], r[INSTANCE], r[LEASE] = QUEUED, false, false
	else
		p[ERROR] = 'uncertain'
		finish(r, c.answer == IS_HELD and HELD or FAILED, p, c)
	end
	take_token(r, p)
	return commit(i, r, c, nil, 1)
end

local function duplicated(i, r, p, c)
	if same_position(r, p) or not r[CLAIMED] or
		not remember(r, DUPLICATES, p[TOPIC] .. '/' .. p[PARTITION] .. '/' .. p[OFFSET]) then
		return nil
	end
	add(c, label(r) .. 'duplicates', 1)
	c.answer = DUPLICATE
	return commit(i, r, c)
end

-- The record as if it had just been claimed with the token of `p`, counted again; nothing where there is nothing to make up for.
local function anew(p, c, step)
	local r = {}
	if step == RELEASE or step == DUPLICATED then
		return nil
	end
	for element = 1, LAST do
		r[element] = p[element]
	end
	r[STATE], r[UNCERTAIN], r[PROVIDER], r[SENT_AT], r[IDS], r[ERROR], r[ENDED] = SENDING, 0, false, false, false, false, false
	r[EXTRAS], r[DUPLICATES] = false, false
	local t = redis.call('TIME')
	r[LEASE] = t[1] * 1000 + floor(t[2] / 1000) + GRACE_MS
	r[INSTANCE] = p[INSTANCE] or ''
	c.new = true
	add(c, label(r) .. 'accepted', 1)
	return r
end

local function change(i, old, proposed, k, step, policy, part)
	local c, late = { moves = {}, k = k }, policy >= 16
	local p = assert(decode(proposed))
	local r, why
	if old then
		r, why = decode(old)
		if not r then
			return { i, BAD, why }
		end
	else
		r = anew(p, c, step)
		if not r then
			return nil
		end
	end
	if step == SETTLE then
		return settle(i, r, p, c)
	elseif step == PART then
		return part_accepted(i, r, p, c, part)
	elseif step == RELEASE then
		return release(i, r, p, c, part)
	elseif step == UNKNOWABLE then
		return unknowable(i, r, p, c, policy % 16, late)
	end
	return duplicated(i, r, p, c)
end

local slots, replies, try, call = {}, {}, redis.pcall, redis.call
for i = 1, n do
	local step, policy, k, l, token_len, hi, lo, part = byte(ARGV[at], 1, 8)
	local proposed = ARGV[at + 1]
	at = at + 2
	local old, len = try('GET', KEYS[i]), hi * 256 + lo
	local slot
	-- Still just as we claimed it: what we propose replaces it, unread.
	if step == SETTLE and len > 0 and type(old) == 'string' and #old == len and byte(old, 4) == SENDING and
		sub(old, 5, token_len) == sub(proposed, 5, token_len) then
		local state = byte(proposed, 4)
		local s = (k * 256 + l) * 16 + state
		slot = slots[s]
		if slot == nil then
			local field = ARGV[labels + l] .. '|' .. NAMES[state]
			slot = { k = n + k, field = field, n = 0, ok = movable(n + k, field) }
			slots[s] = slot
		end
	end
	if slot and slot.ok then
		call('SET', KEYS[i], proposed, 'KEEPTTL')
		slot.n = slot.n + 1
	else
		local ok, reply = pcall(change, i, old, proposed, n + k, step, policy, part)
		if not ok then
			reply = { i, BAD, tostring(reply) }
		end
		replies[#replies + 1] = reply
	end
end
for _, slot in pairs(slots) do
	if slot.n > 0 then
		move(slot.k, slot.field, slot.n)
	end
end
apply(ARGV[4])
return #replies == 0 and n or replies
