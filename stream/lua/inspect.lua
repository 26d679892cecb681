#!lua flags=no-writes
-- Everything there is to know about a stream and one group, of one instant.
--
-- KEYS  1 stream  2 head  3 sessions  4 beats  5 files  6 counts  7 dead letters  8 prefix of the output logs  9 retry
-- ARGV  1 group
-- Reply {head, stream length, group as XINFO GROUPS or (), the next undelivered entries ((id, fields), ...),
--        oldest pending id or '', consumers as XINFO CONSUMERS, sessions, beats, files, counts,
--        dead letters, output logs (name, chunks, first chunk's id or '', ...), server time in ms,
--        how many messages wait for a retry, when the next is due in ms or '',
--        first entry's id or '', bytes of memory or -1, all groups (name, first id that it still needs or '', ...),
--        oldest pending entry of each consumer (name, id, deliveries, ...)}
local stream, group = KEYS[1], ARGV[1]
local head = redis.call('HGETALL', KEYS[2])
local info, ahead, oldest, consumers = {}, {}, '', {}
local first, memory, groups, held = '', -1, {}, {}
if redis.call('TYPE', stream).ok == 'stream' then
  local entry = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
  if entry then first = entry[1] end
  local usage = redis.pcall('MEMORY', 'USAGE', stream) -- not everybody may ask
  if type(usage) == 'number' then memory = usage end
  for _, row in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local fields = {}
    for i = 1, #row, 2 do fields[row[i]] = row[i + 1] end
    local own = fields.name == group
    local next = redis.call('XRANGE', stream, '(' .. fields['last-delivered-id'], '+', 'COUNT', own and 5 or 1)
    local needed = next[1] and next[1][1] or ''
    if fields.pending > 0 then needed = redis.call('XPENDING', stream, fields.name)[2] end
    groups[#groups + 1] = fields.name
    groups[#groups + 1] = needed
    if own then
      info, ahead = row, next
      if fields.pending > 0 then oldest = needed end
    end
  end
end
if #info > 0 then
  consumers = redis.call('XINFO', 'CONSUMERS', stream, group)
  for _, consumer in ipairs(consumers) do
    local row = redis.call('XPENDING', stream, group, '-', '+', 1, consumer[2])[1]
    if row then
      held[#held + 1] = consumer[2]
      held[#held + 1] = row[1]
      held[#held + 1] = row[4]
    end
  end
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
  first, memory, groups, held,
}
