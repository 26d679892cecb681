#!lua flags=allow-oom
-- Hands over entries that are already pending for the caller, and counts the delivery of exactly these.
-- (Reading them with XREADGROUP would count everything pending, and an innocent neighbour of an entry
-- that kills its process would reach maxDeliveries along with it.)
--
-- KEYS  1 stream  2 sessions  3 dead letters  4 counts
-- ARGV  1 group  2 consumer  3 token  4 bytes of fields after which no more are handed over  5.. entry ids
-- Reply {how many of the ids were looked at, ((id, deliveries including this one, fields), ...) of those
--        still pending for the caller, (id of one whose payload is missing, ...)}
-- Errors FENCED  the session was ended
local stream, sessions, dead, counts = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local group, me = ARGV[1], ARGV[2]
if redis.call('HGET', sessions, me) ~= ARGV[3] then return redis.error_reply('FENCED ' .. me) end
local reply, missing, most, bytes = {}, {}, tonumber(ARGV[4]), 0
for i = 5, #ARGV do
  if bytes > 0 and bytes >= most then return { i - 5, reply, missing } end
  local id = ARGV[i]
  local row = redis.call('XPENDING', stream, group, id, id, 1, me)[1]
  if row then
    local entry = redis.call('XRANGE', stream, id, id)[1]
    if entry then
      redis.call('XCLAIM', stream, group, me, 0, id, 'RETRYCOUNT', row[4] + 1, 'JUSTID')
      reply[#reply + 1] = { id, row[4] + 1, entry[2] }
      for _, field in ipairs(entry[2]) do bytes = bytes + #field end
    else
      missing[#missing + 1] = id
      redis.call('XADD', dead, '*', 'reason', 'payload missing', 'entry', id, 'group', group,
        'consumer', me, 'deliveries', row[4], 'epoch', '')
      redis.call('XACK', stream, group, id)
      redis.pcall('HINCRBY', counts, 'lost', 1)
      redis.pcall('HINCRBY', counts, 'dead', 1)
      redis.pcall('HINCRBY', counts, 'letters:payload missing', 1)
    end
  end
end
return { #ARGV - 4, reply, missing }
