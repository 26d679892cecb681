#!lua
-- Replays a dead letter: its message returns to the stream, under a new entry id and for the letter's group only, and
-- the letter is gone. One step, so a call may be repeated when its reply was lost: the letter is then missing, and
-- nothing is appended twice.
--
-- KEYS  1 stream  2 head  3 dead letters  4 counts of the letter's group  5 history of that group
-- ARGV  1 id of the letter  2 its epoch  3 its reason  4 the field `conveyor`  5 data to replace its own, or ''
--       6 package or ''  7 how many strings of the letter come before the entry's own
-- Reply the new entry's id; '' when there is no such letter
-- Errors EMPTY       the letter carries no message
--        EPOCH       the letter is of an earlier life of the stream
--        STREAMGONE  the stream was deleted while its head stands
local stream, head, dead, counts, history = unpack(KEYS)
local letter = redis.call('XRANGE', dead, ARGV[1], ARGV[1])[1]
if not letter then return '' end
local fields, data = {}, ARGV[5]
for i = ARGV[7] + 1, #letter[2], 2 do
  local name = letter[2][i]
  if name ~= 'conveyor' and name ~= 'conveyor-sequence' and (name ~= 'data' or data == '') then
    fields[#fields + 1] = name
    fields[#fields + 1] = letter[2][i + 1]
  end
end
if data ~= '' then
  table.insert(fields, 1, 'data')
  table.insert(fields, 2, data)
end
if #fields == 0 then return redis.error_reply('EMPTY ' .. ARGV[1]) end -- such a letter knows no epoch either
if redis.call('HGET', head, 'epoch') ~= ARGV[2] then return redis.error_reply('EPOCH changed') end
if redis.call('TYPE', stream).ok ~= 'stream' then return redis.error_reply('STREAMGONE ' .. stream) end
local entry = redis.call('XADD', stream, '*', 'conveyor-sequence', redis.call('HGET', head, 'sequence'),
  'conveyor', ARGV[4], unpack(fields))
redis.call('XDEL', dead, ARGV[1])
redis.pcall('HINCRBY', counts, 'replayed', 1) -- counts are for people: they must not stop it half way
redis.pcall('HINCRBY', counts, 'letters:' .. ARGV[3], -1)
if ARGV[6] ~= '' then
  local time = redis.call('TIME')
  redis.pcall('RPUSHX', history .. ':' .. ARGV[6], string.format(
    '{"event":"replayed","at":%d,"entry":"%s","letter":"%s","edited":%s}',
    time[1] * 1000 + math.floor(time[2] / 1000), entry, ARGV[1], data ~= '' and 'true' or 'false'))
end
return entry
