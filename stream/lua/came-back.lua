#!lua flags=no-writes
-- The entries of a part of the stream that came back, with their packages: from waiting, or from the dead letters.
--
-- KEYS  1 stream
-- ARGV  1 first id, as XRANGE takes it  2 entries to look at, at most
-- Reply {id to go on from, '' at the end, came back (id, package, ...)}
local entries = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])
local found = {}
for _, entry in ipairs(entries) do
  local fields = entry[2]
  local data, back
  if #fields > 2 then
    for i = 1, #fields, 2 do
      if fields[i] == 'data' then data = fields[i + 1] end
      if fields[i] == 'conveyor-sequence' then back = true end
    end
  end
  if back and data then
    found[#found + 1] = entry[1]
    found[#found + 1] = string.match(string.sub(data, 1, 200), '"package"%s*:%s*([1-9]%d*)%s*[,}]') or ''
  end
end
local last = entries[#entries]
return { #entries == tonumber(ARGV[2]) and last[1] or '', found }
