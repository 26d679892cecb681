#!lua flags=allow-oom
-- Takes entries over from a peer that is judged dead, and ends its session once nothing is left pending
-- for it. The judgement holds only if the peer's session and beat are still the observed ones.
-- Claims with JUSTID: being claimed is no delivery. An entry whose body was deleted goes to the dead
-- letters, because XCLAIM would drop it from the pending list without a word.
--
-- KEYS  1 stream  2 sessions  3 beats  4 dead letters  5 counts  6 history
-- ARGV  1 group  2 consumer  3 token  4 peer  5 peer's token, '-' ended, '' none  6 peer's beat
--       7 only entries delivered at most so often  8 how many at most
--       9 ms that history is kept, 0 when none is
-- Reply {(id of a claimed entry, ...), lost, 1 if the peer's session was ended}: nothing when the peer has moved
-- Errors FENCED  the caller's own session was ended
local stream, sessions, beats, dead, counts = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local group, me, peer, ttl = ARGV[1], ARGV[2], ARGV[4], tonumber(ARGV[9])
if redis.call('HGET', sessions, me) ~= ARGV[3] then return redis.error_reply('FENCED ' .. me) end
if (redis.call('HGET', sessions, peer) or '') ~= ARGV[5] then return { {}, 0, 0 } end
if ARGV[5] ~= '-' and (redis.call('HGET', beats, peer) or '0') ~= ARGV[6] then return { {}, 0, 0 } end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function note(id, fields) -- nothing depends on it: it must not get in the way
  for i = 1, #fields, 2 do
    -- Near its beginning, where Conveyor writes it: to decode large bodies would keep Redis busy for long.
    local data = fields[i] == 'data' and string.sub(fields[i + 1], 1, 200) or ''
    local package = string.match(data, '"package"%s*:%s*([1-9]%d*)%s*[,}]')
    if package and #package <= 16 then
      local key = KEYS[6] .. ':' .. package
      redis.pcall('RPUSH', key, cjson.encode({ event = 'claimed', at = now, consumer = me, from = peer, entry = id }))
      redis.pcall('PEXPIRE', key, ttl)
    end
  end
end

local most, limit = tonumber(ARGV[7]), tonumber(ARGV[8])
local claimed, lost, from = {}, 0, '-'
repeat
  local rows = redis.call('XPENDING', stream, group, from, '+', 100, peer)
  for _, row in ipairs(rows) do
    local id = row[1]
    if #claimed < limit and row[4] <= most then
      local entry = redis.call('XRANGE', stream, id, id)[1]
      if not entry then
        redis.call('XADD', dead, '*', 'reason', 'payload missing', 'entry', id, 'group', group, 'consumer', peer,
          'deliveries', row[4], 'epoch', '')
        redis.call('XACK', stream, group, id)
        lost = lost + 1
      else
        redis.call('XCLAIM', stream, group, me, 0, id, 'JUSTID')
        claimed[#claimed + 1] = id
        if ttl > 0 then note(id, entry[2]) end
      end
    end
    from = '(' .. id
  end
until #rows < 100 or #claimed >= limit

if lost > 0 then
  redis.pcall('HINCRBY', counts, 'lost', lost)
  redis.pcall('HINCRBY', counts, 'dead', lost)
  redis.pcall('HINCRBY', counts, 'letters:payload missing', lost)
end
if #claimed > 0 then
  redis.pcall('HINCRBY', counts, 'claimed', #claimed)
  redis.pcall('HINCRBY', counts, 'claimed:' .. me, #claimed)
end
local ended = 0
if ARGV[5] ~= '-' and #redis.call('XPENDING', stream, group, '-', '+', 1, peer) == 0 then
  redis.call('HSET', sessions, peer, '-')
  ended = 1
end
return { claimed, lost, ended }
