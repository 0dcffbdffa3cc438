-- What all scripts begin with: reading moments and making them.

-- What lies under a key; false where that is no string.
local function look(key)
  return redis.call('MGET', key)[1]
end

-- The incarnation and the count of a moment; nil for anything else.
local function parts(text)
  if not text or #text ~= 20 or string.find(text, '%X') then return nil, nil end
  -- In two halves: a server of 32 bits reads no more digits at once.
  local high, low = tonumber(string.sub(text, 9, 14), 16), tonumber(string.sub(text, 15), 16)
  return string.sub(text, 1, 8), high * 16777216 + low
end

local function moment(incarnation, count)
  return incarnation .. string.format('%06x%06x', math.floor(count / 16777216), count % 16777216)
end

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The moment after that of a clock; of a fresh incarnation where the clock shows none, or can count no further.
local function after(clock, fresh)
  local incarnation, count = parts(clock)
  if not count or count >= 281474976710655 then return moment(fresh, now()) end
  return moment(incarnation, math.max(count + 1, now()))
end

-- Tells the other processes. One that may not is no reason to fail: the change has taken place.
local function tell(channel, message)
  redis.pcall('PUBLISH', channel, message)
end
