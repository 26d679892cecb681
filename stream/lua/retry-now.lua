#!lua flags=allow-oom
-- Has a message that waits for another attempt be due now.
--
-- KEYS  1 retry
-- ARGV  1 id of the entry under which it waits
-- Reply 1, or 0 when it does not wait (any more)
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], 'XX', time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
return 1
