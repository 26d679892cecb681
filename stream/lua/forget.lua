#!lua flags=allow-oom
-- Ends the stream's present life: deletes the stream, its head, the positions of its sources and all that belongs to
-- its groups, in one step, so that nobody of that life can leave anything behind for the next. Lanes expire by themselves.
-- What people have done stays on record.
--
-- KEYS  1 stream  2 head  3 dead letters
-- ARGV  groups, besides those that the head records
-- Reply the groups
local stream, head = KEYS[1], KEYS[2]
local own = '{' .. stream .. '}'
local groups = {}
for _, group in ipairs(ARGV) do groups[group] = true end
for _, field in ipairs(redis.call('HKEYS', head)) do
  local group = string.match(field, '^group:(.*)$')
  if group then groups[group] = true end
end
redis.call('UNLINK', stream, head, KEYS[3], own .. ':trims', own .. ':sources')
local names = {}
for group in pairs(groups) do
  local of = own .. ':' .. group .. ':'
  local consumers = {}
  for _, hash in ipairs({ 'files', 'sessions' }) do
    for _, consumer in ipairs(redis.call('HKEYS', of .. hash)) do consumers[consumer] = true end
  end
  for consumer in pairs(consumers) do redis.call('UNLINK', of .. 'output:' .. consumer) end
  redis.call('UNLINK', of .. 'sessions', of .. 'beats', of .. 'files', of .. 'counts',
    of .. 'retry', of .. 'waiting', of .. 'purged', of .. 'history', of .. 'control', of .. 'vitals')
  names[#names + 1] = group
end
return names
