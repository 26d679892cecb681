#!lua
-- Appends rows of a source and sets the source's position to the last of them, atomically.
--
-- The position that the rows follow is compared with the one there is, and where these differ nothing happens. So a
-- request may be repeated when its reply was lost, and made by any number of processes at once: only one can be the
-- first to follow a position.
--
-- KEYS  1 stream  2 head  3 sources
-- ARGV  1 epoch  2 source  3 position that the rows follow, '' to be told the present one  4 position of the last row
--       5 the data before a package's number
--       6.. rows: the data after the number, number of further fields and values k, k strings
-- Reply {first number, how many, position}; how many is 0 when the rows do not follow the position
-- Errors EPOCH, STREAMGONE as append.lua
--        BADSTATE  a key is not what it should be: nothing was appended
--        BADROWS   arguments that are not as above: nothing was appended
local stream, head, sources = KEYS[1], KEYS[2], KEYS[3]
if redis.call('HGET', head, 'epoch') ~= ARGV[1] then return redis.error_reply('EPOCH ' .. stream) end
if redis.call('TYPE', stream).ok ~= 'stream' then return redis.error_reply('STREAMGONE ' .. stream) end
local kind = redis.call('TYPE', sources).ok
local sequence = tonumber(redis.call('HGET', head, 'sequence'))
if not sequence or (kind ~= 'hash' and kind ~= 'none') then return redis.error_reply('BADSTATE ' .. stream) end

local source, expected, reached = ARGV[2], ARGV[3], ARGV[4]
local position = redis.call('HGET', sources, source) or '0'
if position ~= expected then return { sequence + 1, 0, position } end

-- A script that fails half way has done its first half for good, so all is looked at before anything is written.
local at, before = 6, ARGV[5]
while at <= #ARGV do
  local k = tonumber(ARGV[at + 1])
  if not k or k % 2 ~= 0 or k < 0 or k > 16 or at + 1 + k > #ARGV then return redis.error_reply('BADROWS of ' .. source) end
  at = at + 2 + k
end
if #ARGV < 6 or not string.match(reached, '^%d+$') or reached == position then
  return redis.error_reply('BADROWS of ' .. source)
end

local number = sequence
at = 6
while at <= #ARGV do
  local k = tonumber(ARGV[at + 1])
  number = number + 1
  redis.call('XADD', stream, '*', 'data', before .. string.format('%d', number) .. ARGV[at],
    unpack(ARGV, at + 2, at + 1 + k))
  at = at + 2 + k
end
redis.call('HSET', head, 'sequence', string.format('%d', number))
redis.call('HSET', sources, source, reached)
return { sequence + 1, number - sequence, reached }
