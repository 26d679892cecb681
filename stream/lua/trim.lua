#!lua flags=allow-oom
-- Trims one slice off the stream's old end. Never an entry that a recorded group was not delivered or
-- has not settled, and nothing at all while a recorded group is missing. Floor and cut are one step.
--
-- KEYS  1 stream  2 head
-- ARGV  1 epoch  2 how many of the newest entries to keep  3 entries in a slice at most
-- Reply {removed, length, 1 if more can go, group that keeps the rest or '', missing group or ''}
-- Errors EPOCH  the stream began a new life
local stream, head, keep, slice = KEYS[1], KEYS[2], tonumber(ARGV[2]), tonumber(ARGV[3])
if redis.call('HGET', head, 'epoch') ~= ARGV[1] then return redis.error_reply('EPOCH ' .. stream) end
if redis.call('TYPE', stream).ok ~= 'stream' then return redis.error_reply('STREAMGONE ' .. stream) end

local function less(a, b) -- entry ids as <milliseconds>-<sequence>
  local a_ms, a_seq = string.match(a, '(%d+)-(%d+)')
  local b_ms, b_seq = string.match(b, '(%d+)-(%d+)')
  if a_ms ~= b_ms then return tonumber(a_ms) < tonumber(b_ms) end
  return tonumber(a_seq) < tonumber(b_seq)
end

local groups = {}
for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  local group = {}
  for i = 1, #info, 2 do group[info[i]] = info[i + 1] end
  groups[group.name] = group
end
local length = redis.call('XLEN', stream)
local floor, by = nil, ''
for _, field in ipairs(redis.call('HKEYS', head)) do
  local name = string.match(field, '^group:(.*)$')
  if name then
    local group = groups[name]
    if not group then return { 0, length, 0, '', name } end
    local oldest
    if group.pending > 0 then
      oldest = redis.call('XPENDING', stream, name)[2]
    else
      -- the first entry that was not delivered; everything may go when there is none
      local ahead = redis.call('XRANGE', stream, '(' .. group['last-delivered-id'], '+', 'COUNT', 1)[1]
      oldest = ahead and ahead[1]
    end
    if oldest and (not floor or less(oldest, floor)) then floor, by = oldest, name end
  end
end

if length <= keep then return { 0, length, 0, '', '' } end
-- Whole nodes first. No look at the newest entries is needed for that: LIMIT is how many may go at all,
-- and a node that would be more stays.
local most = math.min(slice, length - keep)
local removed = redis.call('XTRIM', stream, 'MINID', '~', floor or '18446744073709551615-18446744073709551615',
  'LIMIT', most)
if removed > 0 then return { removed, length - removed, 1, '', '' } end
-- Then the few that are left of a node.
local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', math.min(most, 100) + 1)
local cut = oldest[#oldest][1]
if floor and less(floor, cut) then cut = floor else by = '' end
removed = redis.call('XTRIM', stream, 'MINID', '=', cut)
local more = (by == '' and length - removed > keep) and 1 or 0
return { removed, length - removed, more, by, '' }
