#!lua flags=allow-oom
-- Opens a stream for a producer or a consumer. The first to come gives the stream its life: an epoch,
-- the sequence and the configured groups, all at once, so that nothing can be read, numbered or trimmed
-- while a part of it is missing. Everybody later only checks that what was recorded is still there.
-- Allowed when memory is used up: consumers must be able to come back, or nothing is ever drained.
--
-- After a restart of the server it also sets right how many entries each group has read: Redis does not write that
-- number into its append-only file, so that its `lag` is too high from then on by all that was read since the file was
-- last rewritten (seen with 7.0.15).
--
-- KEYS  1 stream  2 head
-- ARGV  1 epoch to use if there is none  2.. configured groups (one at least)
-- Reply {epoch, sequence, 1 if this call began the epoch}
-- Errors NOHEAD      entries without a head: not written by Conveyor, or the head was deleted
--        STREAMGONE  a head without its stream: packages are lost
--        GROUPGONE   a recorded group was destroyed: creating it anew would deliver packages twice
--        GROUPLATE   an unrecorded group, and entries were trimmed before it could read them
local stream, head = KEYS[1], KEYS[2]
local epoch = redis.call('HGET', head, 'epoch')
local exists = redis.call('EXISTS', stream) == 1

-- What is left of an earlier life, whose stream was deleted by hand, must not come back into this one.
local function forget_earlier(group)
  local of = '{' .. stream .. '}:' .. group .. ':'
  redis.call('UNLINK', of .. 'sessions', of .. 'beats', of .. 'files', of .. 'counts', of .. 'retry', of .. 'waiting',
    of .. 'purged', of .. 'history')
end

local server = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')

-- Entries of a range, or nil when there are too many to count them in one step.
local function count(from, to)
  local counted = 0
  for _ = 1, 100 do
    local page = redis.call('XRANGE', stream, from, to, 'COUNT', 1000)
    counted = counted + #page
    if #page < 1000 then return counted end
    from = '(' .. page[1000][1]
  end
  return nil
end

local function count_reads(added, length)
  for _, row in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local fields = {}
    for i = 1, #row, 2 do fields[row[i]] = row[i + 1] end
    local last = fields['last-delivered-id']
    local unread = count('(' .. last, '+')
    if not unread then
      local read = count('-', last)
      unread = read and length - read
    end
    if unread and redis.call('HEXISTS', head, 'group:' .. fields.name) == 1 then
      redis.call('XGROUP', 'SETID', stream, fields.name, last, 'ENTRIESREAD', string.format('%d', added - unread))
    end
  end
  redis.call('HSET', head, 'counted', server)
end

if not epoch then
  if exists then return redis.error_reply('NOHEAD ' .. stream) end
  redis.call('UNLINK', '{' .. stream .. '}:sources')
  redis.call('HSET', head, 'epoch', ARGV[1], 'sequence', 0, 'audited', server, 'counted', server)
  for i = 2, #ARGV do
    forget_earlier(ARGV[i])
    redis.call('XGROUP', 'CREATE', stream, ARGV[i], '0', 'MKSTREAM')
    redis.call('HSET', head, 'group:' .. ARGV[i], 1)
  end
  return { ARGV[1], 0, 1 }
end

if not exists then return redis.error_reply('STREAMGONE ' .. stream) end
local present = {}
for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do present[group[2]] = true end
local info = redis.call('XINFO', 'STREAM', stream)
local fields = {}
for i = 1, #info, 2 do fields[info[i]] = info[i + 1] end
local untrimmed = fields['entries-added'] == fields['length']

local new = {}
for i = 2, #ARGV do
  local group = ARGV[i]
  if redis.call('HEXISTS', head, 'group:' .. group) == 1 then
    if not present[group] then return redis.error_reply('GROUPGONE ' .. group) end
  else
    if not present[group] and not untrimmed then return redis.error_reply('GROUPLATE ' .. group) end
    new[#new + 1] = group
  end
end
for _, group in ipairs(new) do
  if not present[group] then
    forget_earlier(group)
    redis.call('XGROUP', 'CREATE', stream, group, '0')
  end
  redis.call('HSET', head, 'group:' .. group, 1)
end
if redis.call('HGET', head, 'counted') ~= server then count_reads(fields['entries-added'], fields['length']) end
return { epoch, tonumber(redis.call('HGET', head, 'sequence')), 0 }
