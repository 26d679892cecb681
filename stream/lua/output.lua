#!lua flags=allow-oom
-- One step of writing a file from its output log: returns what comes next, and forgets what is on disk.
-- Bound to the epoch, so that a process left over from an earlier life can neither write the new life's
-- bytes into its old file nor make Redis forget them.
--
-- KEYS  1 head  2 files  3 output log
-- ARGV  1 epoch  2 consumer  3 offset up to which everything is on disk and forgotten now, or ''
--       4 how many chunks at most  5 offset from which on they are returned, or '' for all
-- Reply {length of the output, ((<end>-<length>, (lines, bytes)), ...)}
-- Errors EPOCH  the stream began a new life
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return redis.error_reply('EPOCH changed') end
if ARGV[3] ~= '' then
  redis.call('XTRIM', KEYS[3], 'MINID', ARGV[3] .. '-18446744073709551615')
end
local after = ARGV[5] == '' and '-' or '(' .. ARGV[5] .. '-18446744073709551615'
return {
  tonumber(redis.call('HGET', KEYS[2], ARGV[2]) or '0'),
  redis.call('XRANGE', KEYS[3], after, '+', 'COUNT', ARGV[4]),
}
