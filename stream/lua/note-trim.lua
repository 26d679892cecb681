#!lua flags=allow-oom
-- Puts a trim on record.
--
-- KEYS  1 trims
-- ARGV  1 how many are kept, about  2 removed  3 length  4 the group that kept it from removing more, or ''
-- Reply 1
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'removed', ARGV[2], 'length', ARGV[3], 'pinnedBy', ARGV[4])
return 1
