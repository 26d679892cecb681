#!lua flags=no-writes
-- Everything there is to know about a stream and one group, of one instant.
--
-- KEYS  1 stream  2 head  3 sessions  4 beats  5 files  6 counts  7 dead letters  8 prefix of the output logs  9 retry
-- ARGV  1 group
-- Reply {head, stream length, group as XINFO GROUPS or (), the next undelivered entries ((id, fields), ...),
--        oldest pending id or '', consumers as XINFO CONSUMERS, sessions, beats, files, counts,
--        dead letters, output logs (name, chunks, first chunk's id or '', ...), server time in ms,
--        how many messages wait for a retry, when the next is due in ms or ''}
local stream, group = KEYS[1], ARGV[1]
local head = redis.call('HGETALL', KEYS[2])
local info, ahead, oldest, consumers = {}, {}, '', {}
if redis.call('TYPE', stream).ok == 'stream' then
  for _, row in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    if row[2] == group then info = row end
  end
end
if #info > 0 then
  local fields = {}
  for i = 1, #info, 2 do fields[info[i]] = info[i + 1] end
  ahead = redis.call('XRANGE', stream, '(' .. fields['last-delivered-id'], '+', 'COUNT', 5)
  if fields.pending > 0 then oldest = redis.call('XPENDING', stream, group)[2] end
  consumers = redis.call('XINFO', 'CONSUMERS', stream, group)
end
local files = redis.call('HGETALL', KEYS[5])
local logs = {}
for i = 1, #files, 2 do
  local log = KEYS[8] .. files[i]
  local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  logs[#logs + 1] = files[i]
  logs[#logs + 1] = redis.call('XLEN', log)
  logs[#logs + 1] = first and first[1] or ''
end
local time = redis.call('TIME')
return {
  head, redis.call('XLEN', stream), info, ahead, oldest, consumers,
  redis.call('HGETALL', KEYS[3]), redis.call('HGETALL', KEYS[4]), files, redis.call('HGETALL', KEYS[6]),
  redis.call('XLEN', KEYS[7]), logs, time[1] * 1000 + math.floor(time[2] / 1000),
  redis.call('ZCARD', KEYS[9]), redis.call('ZRANGE', KEYS[9], 0, 0, 'WITHSCORES')[2] or '',
}
