#!lua flags=allow-oom
-- Deletes a dead letter: its message is given up. One step, which may be repeated.
--
-- KEYS  1 dead letters  2 counts of the letter's group  3 history of that group  4 head
-- ARGV  1 id of the letter  2 its reason  3 package or ''  4 its epoch
-- Reply 1 deleted, 0 there is no such letter
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
-- The counts begin anew with the stream's life: a letter that an earlier one left behind is not in them.
if ARGV[4] ~= '' and redis.call('HGET', KEYS[4], 'epoch') ~= ARGV[4] then return 1 end
redis.call('HINCRBY', KEYS[2], 'purged', 1)
redis.call('HINCRBY', KEYS[2], 'letters:' .. ARGV[2], -1)
if ARGV[3] ~= '' then
  local time = redis.call('TIME')
  redis.pcall('RPUSHX', KEYS[3] .. ':' .. ARGV[3], string.format(
    '{"event":"purged","at":%d,"letter":"%s"}', time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1]))
end
return 1
