#!lua flags=no-writes
-- Numbers of packages that wait for another attempt, a part of them.
--
-- KEYS  1 waiting
-- ARGV  1 cursor  2 how many to look at, about
-- Reply {next cursor, '0' at the end, (id of the entry, package or '', ...)}
local reply = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local found = {}
for i = 1, #reply[2], 2 do
  found[#found + 1] = reply[2][i]
  found[#found + 1] = string.match(string.sub(reply[2][i + 1], 1, 40), '^%["?(%d*)') or ''
end
return { reply[1], found }
