-- How Argo CD reads a DrainPolicy. docs/gitops.md says how to install it.
--
-- A drain under way is Healthy: the policy does what it should, and a sync that waits for its resources must not wait for hours.
-- The message says what is going on.
local hs = { status = "Progressing", message = "Waiting for the operator to observe the policy" }
local status = obj.status
if status == nil or status.conditions == nil then
  return hs
end

local conditions = {}
for _, condition in ipairs(status.conditions) do
  conditions[condition.type] = condition
end
local ready, drained, stalled = conditions.Ready, conditions.Drained, conditions.Stalled
if ready == nil then
  return hs
end

if obj.metadata.deletionTimestamp ~= nil then
  hs.message = ready.message
  return hs
end
if obj.metadata.generation ~= nil and status.observedGeneration ~= obj.metadata.generation then
  return hs
end
if stalled ~= nil and stalled.status == "True" then
  hs.status, hs.message = "Degraded", stalled.message
  return hs
end
if ready.status ~= "True" then
  hs.message = ready.message
  return hs
end
if ready.reason == "Suspended" then
  hs.status, hs.message = "Suspended", ready.message
  return hs
end

hs.status, hs.message = "Healthy", ready.message
if drained ~= nil and drained.status ~= "True" then
  hs.message = drained.message
end
return hs
