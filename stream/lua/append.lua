#!lua
-- Gives out the next package numbers and appends the entries that carry them, atomically.
--
-- A request is named by its lane (one key a process) and a counter. The last request of a lane gets its
-- first answer again, an older one is refused, so a request may be repeated when its reply was lost.
-- An entry's data is <before><number><after>; entries that differ only in their number share a template.
--
-- KEYS  1 stream  2 head  3 lane
-- ARGV  1 epoch  2 counter of the request, from 1  3 last number that may be given out, 0 for no end
--       4.. templates: count, before, after, number of further fields and values k, then k strings
-- Reply {first number, how many}; how many is less than asked for when the last number is reached
-- Errors EPOCH       the stream began a new life: open it again
--        STREAMGONE  the stream was deleted while its head stands
--        STALE       a request older than the lane's last one
local stream, head, lane = KEYS[1], KEYS[2], KEYS[3]
if redis.call('HGET', head, 'epoch') ~= ARGV[1] then return redis.error_reply('EPOCH ' .. stream) end

local counter = tonumber(ARGV[2])
local answered = redis.call('GET', lane)
if answered then
  local last, first, count, epoch = string.match(answered, '^(%d+) (%d+) (%d+) (.*)$')
  last = tonumber(last)
  if epoch == ARGV[1] then -- a lane of an earlier life says nothing about this one
    if counter == last then return { tonumber(first), tonumber(count) } end
    if counter < last then return redis.error_reply('STALE ' .. counter .. ' after ' .. last) end
  end
end
if redis.call('TYPE', stream).ok ~= 'stream' then return redis.error_reply('STREAMGONE ' .. stream) end

local sequence = tonumber(redis.call('HGET', head, 'sequence'))
local last = tonumber(ARGV[3])
local number = sequence
local at = 4
while at <= #ARGV and (last == 0 or number < last) do
  local count, before, after, extra = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  local up_to = number + count
  if last > 0 and up_to > last then up_to = last end
  if extra == 0 then
    for n = number + 1, up_to do
      redis.call('XADD', stream, '*', 'data', before .. string.format('%d', n) .. after)
    end
  else
    for n = number + 1, up_to do
      redis.call('XADD', stream, '*', 'data', before .. string.format('%d', n) .. after,
        unpack(ARGV, at + 4, at + 3 + extra))
    end
  end
  number = up_to
  at = at + 4 + extra
end
redis.call('HSET', head, 'sequence', string.format('%d', number))
redis.call('SET', lane, string.format('%d %d %d %s', counter, sequence + 1, number - sequence, ARGV[1]), 'PX', 86400000)
return { sequence + 1, number - sequence }
