#!lua flags=allow-oom
-- One step of writing a file from its output log: forgets what is on disk and returns what comes next.
-- Bound to the epoch, so that a process left over from an earlier life can neither write the new life's
-- bytes into its old file nor make Redis forget them.
--
-- KEYS  1 head  2 files  3 output log
-- ARGV  1 epoch  2 consumer  3 offset up to which everything is on disk, or ''  4 how many chunks at most
-- Reply {length of the output, ((<end>-<length>, (lines, bytes)), ...)}
-- Errors EPOCH  the stream began a new life
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return redis.error_reply('EPOCH changed') end
if ARGV[3] ~= '' then
  redis.call('XTRIM', KEYS[3], 'MINID', ARGV[3] .. '-18446744073709551615')
end
return {
  tonumber(redis.call('HGET', KEYS[2], ARGV[2]) or '0'),
  redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', ARGV[4]),
}
