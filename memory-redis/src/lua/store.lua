-- Stores an entry if nothing was invalidated since its run began, and if it comes in time. Answers 1 when stored, 0 when
-- refused. Keys from the fourth on are there only where they lie on the same node as the entry.
local entry, tombstone, lease, clock = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
-- When nobody waits for this write any more, in ms on the server's clock.
local latest = tonumber(ARGV[1])
-- What the run noted of its key and of the clock. The first is '' for a write by hand; the second is then the moment for
-- the frame where this script can't see the clock, and else ''.
local noted, began = ARGV[2], ARGV[3]
-- '' for ever.
local life = ARGV[4]
local magic, tail = ARGV[5], ARGV[6]
local channel, message = ARGV[7], ARGV[8]
local generation, generation_life = ARGV[9], ARGV[10]
local fresh, clock_life = ARGV[11], ARGV[12]
-- From here on: how long each of the groups lives.
local GROUP, LIFE = 5, 13 - 5

if now() > latest then return 0 end
local by_hand = noted == ''
if not by_hand then
  local found = look(tombstone)
  if not found or #found ~= 16 then found = '----------------' end
  if found ~= noted then return 0 end
end
if clock then
  local incarnation, count = parts(look(clock))
  local began_in, known = parts(began)
  if not by_hand and (not count or incarnation ~= began_in) then return 0 end
  if not count then
    incarnation, count = fresh, now()
    redis.call('SET', clock, moment(incarnation, count), 'PX', clock_life)
  end
  local outdated = false
  for at = GROUP, #KEYS do
    local invalidated_in, invalidated = parts(look(KEYS[at]))
    if invalidated_in ~= incarnation then
      invalidated = count
      redis.call('SET', KEYS[at], moment(incarnation, count), 'PX', ARGV[at + LIFE])
    end
    outdated = outdated or (not by_hand and invalidated > known)
  end
  if outdated then return 0 end
  if by_hand then began = moment(incarnation, count) end
end
if by_hand then redis.call('SET', tombstone, generation, 'PX', generation_life) end
local frame = magic .. began .. tail
if life == '' then
  redis.call('SET', entry, frame)
else
  redis.call('SET', entry, frame, 'PX', life)
end
-- Only now: once a script has changed anything, a full server no longer refuses what it sets.
redis.call('UNLINK', lease)
for at = GROUP, #KEYS do
  -- A group that is forgotten before its entries takes them along.
  if life == '' or redis.call('PTTL', KEYS[at]) < tonumber(life) then
    redis.call('PEXPIRE', KEYS[at], ARGV[at + LIFE])
  end
end
tell(channel, message)
return 1
