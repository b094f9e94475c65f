-- Runs inside a provider's cluster in cluster_header mode. The sidecar has put the model into the body;
-- what is left is to point the request at this provider. PROVIDER, AUTHORITY and PATHS are set by the
-- lines before this file: Envoy 1.39 cannot tell a script which cluster it is in.

local function readdress(handle)
  local metadata = handle:streamInfo():dynamicMetadata()
  local decision = metadata:get("signalbox")
  -- Not the x-signalbox-* headers: a first attempt has removed them when a second one comes here.
  local candidate = decision.candidates[1]
  if candidate == nil or candidate.provider ~= PROVIDER then
    error("the decision is not for " .. PROVIDER)
  end
  local path = PATHS[decision.endpoint]
  if path == nil then
    error(PROVIDER .. " does not serve this endpoint")
  end
  local headers = handle:headers()
  local query = headers:get(":path"):match("%?.*") or ""
  headers:replace(":path", path .. query)
  headers:replace(":authority", AUTHORITY)
  metadata:set("signalbox.attempt", "model", candidate.name)
  metadata:set("signalbox.attempt", "provider", PROVIDER)
end

function envoy_on_request(handle)
  -- Without pcall an error here would be logged and the request sent on as it is: fail open.
  local ok, problem = pcall(readdress, handle)
  if not ok then
    handle:logErr("signalbox: " .. tostring(problem))
    handle:respond({[":status"] = "503"}, "")
  end
end
