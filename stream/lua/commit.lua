#!lua flags=allow-oom
-- Settles a batch: what is pending for the caller is acknowledged and gets its outcome in the same step;
-- what is not (a peer claimed it) is dropped and counted as fenced.
--
-- Outcomes  done  its line is appended to the caller's output log, one chunk a commit
--           dead  the entry moves to the dead letters
--
-- The output log is a stream whose ids are byte offsets: <end>-<length>, end from `files`.
--
-- KEYS  1 stream  2 sessions  3 counts  4 dead letters  5 files  6 output log
-- ARGV  1 group  2 consumer  3 token  4 the lines of the done entries, in order, each ended by a newline,
--       or '' when no file is written  5 number of entries n, 1 to 1000  6 first and 7 last of their ids
--       8 all ids, ascending, separated by spaces (one string: 500 arguments cost more than the commit)
--       then, for each entry that is not done: its index from 1, 'dead', reason, detail
-- Reply {end of the output, (id of a fenced entry, ...), done, (id of one that went to the dead letters, ...)}
-- Errors FENCED  the session was ended: nothing was settled
--        WRONGTYPE before the first write, because a script that fails half way stays half done
local stream, sessions, counts, dead, files, output = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local group, me, lines, n = ARGV[1], ARGV[2], ARGV[4], tonumber(ARGV[5])
for i = 3, 6 do
  local type = redis.call('TYPE', KEYS[i]).ok
  local wanted = (i == 3 or i == 5) and 'hash' or 'stream'
  if type ~= 'none' and type ~= wanted then
    return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is a ' .. type .. ', not a ' .. wanted)
  end
end
if redis.call('HGET', sessions, me) ~= ARGV[3] then
  redis.call('HINCRBY', counts, 'fenced', n)
  return redis.error_reply('FENCED ' .. me)
end

local other = {} -- indexes of the entries that are not done
for at = 9, #ARGV, 4 do other[tonumber(ARGV[at])] = true end

-- Nearly always the batch is exactly what is pending for the caller from its first id to its last.
local rows = redis.call('XPENDING', stream, group, ARGV[6], ARGV[7], n, me)
local ack, fenced = {}, {}
for i = 1, #rows do ack[i] = rows[i][1] end
local all_mine = table.concat(ack, ' ') == ARGV[8]
local settled = {} -- index -> id of those with an outcome other than done
if all_mine then
  for i in pairs(other) do settled[i] = ack[i] end
else
  local mine, from = {}, ARGV[6]
  repeat
    rows = redis.call('XPENDING', stream, group, from, ARGV[7], 1000, me)
    for i = 1, #rows do mine[rows[i][1]] = true end
    if #rows == 1000 then from = '(' .. rows[1000][1] end
  until #rows < 1000
  local i, kept = 0, {}
  ack = {}
  for id in string.gmatch(ARGV[8], '%S+') do
    i = i + 1
    if mine[id] then
      mine[id] = nil -- the same entry a second time in one batch is fenced
      ack[#ack + 1] = id
      kept[i] = true
      if other[i] then settled[i] = id end
    else
      fenced[#fenced + 1] = id
    end
  end
  if #fenced > 0 then redis.call('HINCRBY', counts, 'fenced', #fenced) end
  if #fenced > 0 and lines ~= '' then
    local at, kept_lines = 0, {}
    for line in string.gmatch(lines, '[^\n]*\n') do
      repeat at = at + 1 until not other[at]
      if kept[at] then kept_lines[#kept_lines + 1] = line end
    end
    lines = table.concat(kept_lines)
  end
end
local to_end = tonumber(redis.call('HGET', files, me) or '0')
if #ack == 0 then return { to_end, fenced, 0, {} } end

-- What can refuse comes first (XADD with an id below the log's last): nothing is settled then.
if #lines > 0 then
  to_end = to_end + #lines
  redis.call('XADD', output, string.format('%d-%d', to_end, #lines), 'lines', lines)
  redis.call('HSET', files, me, string.format('%d', to_end))
end
local died = {}
for at = 9, #ARGV, 4 do
  local id = settled[tonumber(ARGV[at])]
  if id then
    local entry = redis.call('XRANGE', stream, id, id)[1]
    local deliveries = redis.call('XPENDING', stream, group, id, id, 1, me)[1][4]
    local fields = entry and entry[2] or {}
    redis.call('XADD', dead, '*', 'reason', ARGV[at + 2], 'detail', ARGV[at + 3], 'entry', id, 'consumer', me,
      'deliveries', deliveries, unpack(fields, 1, math.min(#fields, 2000))) -- unpack takes 8,000 at most
    died[#died + 1] = id
  end
end
redis.call('XACK', stream, group, unpack(ack))
if #died > 0 then redis.call('HINCRBY', counts, 'dead', #died) end
if #ack > #died then redis.call('HINCRBY', counts, 'done:' .. me, #ack - #died) end
return { to_end, fenced, #ack - #died, died }
