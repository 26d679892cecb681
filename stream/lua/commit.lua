#!lua flags=allow-oom
-- Settles a batch: what is pending for the caller is acknowledged and gets its outcome in the same step;
-- what is not (a peer claimed it) is dropped and counted as fenced.
--
-- Outcomes  done   its line is appended to the caller's output log, one chunk a commit, and its messages, if there are
--                  any, to the next stream
--           retry  the message leaves the stream and waits until it is due (due.lua)
--           dead   the message moves to the dead letters
--           skip   nothing: it came back for another group
--
-- The output log is a stream whose ids are byte offsets: <end>-<length>, end from `files`.
--
-- KEYS  1 stream  2 sessions  3 counts  4 dead letters  5 files  6 output log  7 retry  8 waiting  9 history
--       and with a next stream  10 it  11 its head
-- ARGV  1 group  2 consumer  3 token  4 the lines of the done entries, in order, each ended by a newline,
--       or '' when no file is written  5 number of entries n, 1 to 1000  6 first and 7 last of their ids
--       8 all ids, ascending, separated by spaces (one string: 500 arguments cost more than the commit)
--       9 the done entries as the history of all packages shows them, or ''  10 ms that history is kept
--       11 number of strings about the next stream; if that is not 0: its epoch, data of a message before its number,
--       and for each entry that has messages: its index from 1, traceparent or '', how many, the data after each number
--       then, for each entry that is not done or about which there is something to note: its index from 1, kind,
--       package or '', note (JSON) or '', number of further strings, and these:
--         retry  delay in ms, the field `conveyor`, traceparent or '' to keep what the entry has
--         dead   traceparent or '', then names and values of the letter, the last name being `epoch`
-- Reply {end of the output, (id of a fenced entry, ...), how many done, retried, dead,
--        (id of one that was to be retried and whose payload is missing, ...), how many messages were forwarded}
-- Errors FENCED  the session was ended: nothing was settled
--        EPOCH   the next stream began a new life, or is gone: nothing was settled
--        WRONGTYPE before the first write, because a script that fails half way stays half done
-- Counts are for people: one that somebody has damaged must not stop a script half way, hence pcall.
local stream, sessions, counts, dead, files, output = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local retry, waiting, history = KEYS[7], KEYS[8], KEYS[9]
local group, me, lines, n = ARGV[1], ARGV[2], ARGV[4], tonumber(ARGV[5])
local about_next = tonumber(ARGV[11])
local wanted = { nil, nil, 'hash', 'stream', 'hash', 'stream', 'zset', 'hash' }
for i = 3, #ARGV > 11 + about_next and 8 or 6 do
  local type = redis.call('TYPE', KEYS[i]).ok
  if type ~= 'none' and type ~= wanted[i] then
    return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is a ' .. type .. ', not a ' .. wanted[i])
  end
end
if redis.call('HGET', sessions, me) ~= ARGV[3] then
  redis.pcall('HINCRBY', counts, 'fenced', n)
  redis.pcall('HINCRBY', counts, 'fenced:' .. me, n)
  return redis.error_reply('FENCED ' .. me)
end

if about_next > 0 and (redis.call('HGET', KEYS[11], 'epoch') ~= ARGV[12] or redis.call('TYPE', KEYS[10]).ok ~= 'stream') then
  return redis.error_reply('EPOCH ' .. KEYS[10])
end

local special, lineless = {}, {} -- index -> where its arguments begin; whether it has no line
local at = 12 + about_next
while at <= #ARGV do
  local index = tonumber(ARGV[at])
  special[index] = at
  if ARGV[at + 1] ~= 'done' then lineless[index] = true end
  at = at + 5 + ARGV[at + 4]
end

-- Nearly always the batch is exactly what is pending for the caller from its first id to its last.
local rows = redis.call('XPENDING', stream, group, ARGV[6], ARGV[7], n, me)
local ack, fenced, taken = {}, {}, {}
for i = 1, #rows do ack[i] = rows[i][1] end
local ids = ack -- index -> id, of those that are settled
if table.concat(ack, ' ') ~= ARGV[8] then
  local mine, from = {}, ARGV[6]
  repeat
    rows = redis.call('XPENDING', stream, group, from, ARGV[7], 1000, me)
    for i = 1, #rows do mine[rows[i][1]] = true end
    if #rows == 1000 then from = '(' .. rows[1000][1] end
  until #rows < 1000
  local i = 0
  ack, ids = {}, {}
  for id in string.gmatch(ARGV[8], '%S+') do
    i = i + 1
    if mine[id] then
      mine[id] = nil -- the same entry a second time in one batch is fenced
      ack[#ack + 1] = id
      ids[i] = id
    else
      fenced[#fenced + 1] = id
      taken[i] = true
    end
  end
  if #fenced > 0 then
    redis.pcall('HINCRBY', counts, 'fenced', #fenced)
    redis.pcall('HINCRBY', counts, 'fenced:' .. me, #fenced)
  end
  if #fenced > 0 and lines ~= '' then
    local at, kept_lines = 0, {}
    for line in string.gmatch(lines, '[^\n]*\n') do
      repeat at = at + 1 until not lineless[at]
      if ids[at] then kept_lines[#kept_lines + 1] = line end
    end
    lines = table.concat(kept_lines)
  end
end
local to_end = tonumber(redis.call('HGET', files, me) or '0')
if #ack == 0 then return { to_end, fenced, 0, 0, 0, {}, 0 } end

-- What can refuse comes first (XADD with an id below the log's last): nothing is settled then.
local from_end = to_end
if #lines > 0 then
  to_end = to_end + #lines
  redis.call('XADD', output, string.format('%d-%d', to_end, #lines), 'lines', lines)
  redis.call('HSET', files, me, string.format('%d', to_end))
end

local others, retried, died, missing = 0, 0, 0, {}
if #ARGV > 11 + about_next then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)

  -- The fields of an entry, without what it was given when it came back earlier.
  local function fields_of(id, traceparent)
    local entry = redis.call('XRANGE', stream, id, id)[1]
    if not entry then return nil end
    local fields = {}
    for i = 1, #entry[2], 2 do
      local name = entry[2][i]
      local own = name == 'conveyor' or name == 'conveyor-sequence'
      if name == 'data' and fields[1] ~= 'data' then -- first, so that it is not what is cut off
        table.insert(fields, 1, name)
        table.insert(fields, 2, entry[2][i + 1])
      elseif not own and (traceparent == '' or (name ~= 'traceparent' and name ~= 'tracestate')) then
        fields[#fields + 1] = name
        fields[#fields + 1] = entry[2][i + 1]
      end
    end
    if traceparent ~= '' then
      fields[#fields + 1] = 'traceparent'
      fields[#fields + 1] = traceparent
    end
    return fields
  end

  local function deliveries_of(id)
    return redis.call('XPENDING', stream, group, id, id, 1, me)[1][4]
  end

  local function bury(letter, fields)
    for i = 1, math.min(#fields, 7000) do letter[#letter + 1] = fields[i] end -- unpack takes 8,000 at most
    redis.call('XADD', dead, '*', 'reason', letter[2], unpack(letter, 3))
    redis.pcall('HINCRBY', counts, 'dead', 1)
    redis.pcall('HINCRBY', counts, 'letters:' .. letter[2], 1)
    died = died + 1
  end

  -- Where each line begins, up to the last about which something is noted.
  local offset, next_line, position = {}, 1, from_end
  local function offset_of(index)
    while next_line <= index do
      if not lineless[next_line] and not taken[next_line] then
        offset[next_line] = position
        position = string.find(lines, '\n', position - from_end + 1, true) + from_end
      end
      next_line = next_line + 1
    end
    return offset[index]
  end

  for index = 1, n do
    local at, id = special[index], ids[index]
    if at and id then
      local kind, package, note, k = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], tonumber(ARGV[at + 4])
      if kind ~= 'done' then others = others + 1 end
      if kind == 'retry' then
        local fields = fields_of(id, ARGV[at + 7])
        if fields then
          fields[#fields + 1] = 'conveyor'
          fields[#fields + 1] = ARGV[at + 6]
          table.insert(fields, 1, package)
          redis.call('HSET', waiting, id, cjson.encode(fields))
          redis.call('ZADD', retry, string.format('%d', now + ARGV[at + 5]), id)
          retried = retried + 1
        else
          missing[#missing + 1] = id
          if note ~= '' then
            note = cjson.encode({ event = 'dead', at = now, consumer = me, entry = id, reason = 'payload missing',
              detail = 'the entry was deleted' })
          end
          redis.pcall('HINCRBY', counts, 'lost', 1)
          bury({ 'reason', 'payload missing', 'entry', id, 'group', group, 'consumer', me,
            'deliveries', deliveries_of(id), 'epoch', '' }, {})
        end
      elseif kind == 'dead' then
        local letter = {}
        for i = at + 6, at + 4 + k do letter[#letter + 1] = ARGV[i] end
        table.insert(letter, 3, 'deliveries')
        table.insert(letter, 4, deliveries_of(id))
        bury(letter, fields_of(id, ARGV[at + 5]) or {})
      end
      if note ~= '' and package ~= '' then -- nothing depends on history: it must not get in the way
        if kind == 'done' and #lines > 0 then
          note = string.gsub(note, '}$', ',"offset":' .. string.format('%d', offset_of(index)) .. '}')
        end
        redis.pcall('RPUSH', history .. ':' .. package, note)
        redis.pcall('LTRIM', history .. ':' .. package, -200, -1)
        redis.pcall('PEXPIRE', history .. ':' .. package, ARGV[10])
      end
    end
  end
end

local forwarded = 0
if about_next > 0 then
  local sequence = tonumber(redis.call('HGET', KEYS[11], 'sequence'))
  at = 14
  while at <= 11 + about_next do
    local index, traceparent, count = tonumber(ARGV[at]), ARGV[at + 1], tonumber(ARGV[at + 2])
    for i = at + 3, ids[index] and at + 2 + count or 0 do
      forwarded = forwarded + 1
      local data = ARGV[13] .. string.format('%d', sequence + forwarded) .. ARGV[i]
      if traceparent == '' then redis.call('XADD', KEYS[10], '*', 'data', data)
      else redis.call('XADD', KEYS[10], '*', 'data', data, 'traceparent', traceparent) end
    end
    at = at + 3 + count
  end
  redis.call('HSET', KEYS[11], 'sequence', string.format('%d', sequence + forwarded))
end

redis.call('XACK', stream, group, unpack(ack))
if retried > 0 then redis.pcall('HINCRBY', counts, 'retried', retried) end
if #ack > others then redis.pcall('HINCRBY', counts, 'done:' .. me, #ack - others) end
if ARGV[9] ~= '' then -- as with notes, nothing depends on it
  local time = redis.call('TIME')
  local oldest = string.format('%d', time[1] * 1000 - ARGV[10])
  redis.pcall('XADD', history, 'MINID', '~', oldest, '*', 'consumer', me, 'start', #lines > 0 and string.format('%d', from_end) or '',
    'done', ARGV[9], 'fenced', table.concat(fenced, ' '))
  redis.pcall('PEXPIRE', history, ARGV[10]) -- nobody trims it once it is off
end
return { to_end, fenced, #ack - others, retried, died, missing, forwarded }
