-- Runs inside a provider's cluster, once per attempt: puts this attempt's model into the body and
-- points the request at this provider. It knows byte ranges, not JSON: the sidecar found the ranges.

-- The bytes with every edit applied, left to right. An edit without text is the model.
local function spliced(bytes, edits, model)
  local pieces, from, named = {}, 1, false
  for _, edit in ipairs(edits) do
    -- Ranges of another body would still cut somewhere, and the provider would get the pieces.
    if edit.len < 0 or edit.at + 1 < from or edit.at + edit.len > #bytes then
      error("an edit lies outside of the body")
    end
    pieces[#pieces + 1] = bytes:sub(from, edit.at)
    pieces[#pieces + 1] = edit.text or model
    from = edit.at + edit.len + 1
    named = named or edit.text == nil
  end
  if not named then
    error("no edit puts the model into the body")
  end
  pieces[#pieces + 1] = bytes:sub(from)
  return table.concat(pieces)
end

local function rewrite(handle)
  -- Host and paths come from the cluster itself, so a wrong decision cannot aim a key at another host.
  local cluster = handle:filterContext()
  local provider, authority = cluster:get("provider"), cluster:get("authority")
  local metadata = handle:streamInfo():dynamicMetadata()
  local decision = metadata:get("signalbox")
  local headers = handle:headers()
  local attempt = tonumber(headers:get("x-envoy-attempt-count"))
  local candidate = decision.candidates[attempt]

  -- Attempt number and cluster must agree. They stop agreeing when a retry stays on the provider it
  -- came from; going on would send one provider another one's model.
  if candidate == nil or candidate.provider ~= provider then
    error("attempt " .. tostring(attempt) .. " is not for " .. provider)
  end
  local path = cluster:get("paths")[decision.endpoint]
  if path == nil then
    error(provider .. " does not serve this endpoint")
  end
  local query = headers:get(":path"):match("%?.*") or ""

  local body = handle:body()  -- yields: headers, metadata and context taken before this line are dead after it
  body:setBytes(spliced(body:getBytes(0, body:length()), decision.edits, candidate.model))
  handle:headers():replace(":path", path .. query)
  handle:headers():replace(":authority", authority)
  metadata = handle:streamInfo():dynamicMetadata()
  metadata:set("signalbox.attempt", "model", candidate.name)
  metadata:set("signalbox.attempt", "provider", provider)
end

function envoy_on_request(handle)
  -- Without pcall an error here would be logged and the request sent on as it is: fail open.
  local ok, problem = pcall(rewrite, handle)
  if not ok then
    handle:logErr("signalbox: " .. tostring(problem))
    handle:respond({[":status"] = "503"}, "")
  end
end
