#!lua flags=no-writes
-- Up to which package all that was given out must be in an output, or is one that came back: of one instant.
-- New packages are delivered in the order of their numbers, so the first undelivered entry tells; one that came back says
-- what the last number was at that time, and all new ones behind it have higher ones. The oldest pending ones are named:
-- one that is pending for long must not hide the others.
--
-- KEYS  1 stream  2 head  3 files  4 prefix of the output logs
-- ARGV  1 group
-- Reply {epoch or '', sequence, top: that package, -1 when it cannot be told,
--        (number of a package that is pending, ...), as far as they are up to top,
--        files (consumer, bytes committed, bytes known to be on disk, ...)}
local stream, group = KEYS[1], ARGV[1]
local sequence = tonumber(redis.call('HGET', KEYS[2], 'sequence') or '0')
local MOST, NAMED = 50, 200

-- The package that an entry carries, and the last number at the time when it came back, if it did.
local function numberOf(fields)
  local number, sequence
  for i = 1, #fields, 2 do
    if fields[i] == 'conveyor-sequence' then sequence = tonumber(fields[i + 1]) end
    if fields[i] == 'data' then
      number = tonumber(string.match(string.sub(fields[i + 1], 1, 200), '"package"%s*:%s*([1-9]%d*)%s*[,}]'))
    end
  end
  return number, sequence
end

-- The number before that of the first package in these entries; nil when none can be read.
local function before(entries)
  for _, entry in ipairs(entries) do
    local number, sequence = numberOf(entry[2])
    if sequence then return sequence end
    if number then return number - 1 end
  end
end

local top = sequence
local pending = {}
if redis.call('TYPE', stream).ok == 'stream' then
  for _, row in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local fields = {}
    for i = 1, #row, 2 do fields[row[i]] = row[i + 1] end
    if fields.name == group then
      local ahead = redis.call('XRANGE', stream, '(' .. fields['last-delivered-id'], '+', 'COUNT', MOST)
      local least = before(ahead)
      if least then
        top = math.min(top, least)
      elseif #ahead >= MOST then
        top = -1
      end
      local rows = redis.call('XPENDING', stream, group, '-', '+', NAMED)
      local bound
      for _, one in ipairs(rows) do
        local entry = redis.call('XRANGE', stream, one[1], one[1])[1]
        local number, sequence = numberOf(entry and entry[2] or {})
        if number then pending[#pending + 1] = number end
        bound = sequence or number or bound
      end
      -- Behind the last of those that are named, more are pending, of higher numbers than it.
      if #rows == NAMED then top = bound and math.min(top, bound) or -1 end
    end
  end
end

local files = {}
local lengths = redis.call('HGETALL', KEYS[3])
for i = 1, #lengths, 2 do
  local first = redis.call('XRANGE', KEYS[4] .. lengths[i], '-', '+', 'COUNT', 1)[1]
  local flushed = tonumber(lengths[i + 1])
  if first then
    local ends, length = string.match(first[1], '^(%d+)-(%d+)$')
    flushed = tonumber(ends) - tonumber(length)
  end
  files[#files + 1] = lengths[i]
  files[#files + 1] = tonumber(lengths[i + 1])
  files[#files + 1] = flushed
end
return { redis.call('HGET', KEYS[2], 'epoch') or '', sequence, top, pending, files }
