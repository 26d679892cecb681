#!lua flags=allow-oom
-- Deletes a dead letter: its message is given up. One step, which may be repeated.
-- A letter that an earlier life of the stream has left is not among the counts of this one.
--
-- KEYS  1 dead letters  2 head  3 counts of the letter's group  4 history of that group
--       5 purged packages of that group
-- ARGV  1 id of the letter  2 its reason  3 package or ''  4 its epoch, '' when its payload is missing
-- Reply 1 deleted, 0 there is no such letter
local dead, head, counts, history, purged = unpack(KEYS)
if redis.call('XDEL', dead, ARGV[1]) == 0 then return 0 end
if ARGV[4] ~= '' and redis.call('HGET', head, 'epoch') ~= ARGV[4] then return 1 end
redis.pcall('HINCRBY', counts, 'purged', 1) -- counts are for people: they must not stop it half way
redis.pcall('HINCRBY', counts, 'letters:' .. ARGV[2], -1)
if ARGV[3] ~= '' then
  redis.pcall('SADD', purged, ARGV[3])
  local time = redis.call('TIME')
  redis.pcall('RPUSHX', history .. ':' .. ARGV[3], string.format(
    '{"event":"purged","at":%d,"letter":"%s"}', time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1]))
end
return 1
