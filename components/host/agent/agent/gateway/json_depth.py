"""How deep the JSON of a request is nested: Triton's parser calls itself for each level, and a request of a few
megabytes of brackets runs out of its stack and ends the server."""

#: Levels that a request of a client never has: an inference has four and as many more as its tensors have dimensions.
DEEPEST = 64

#: Bytes of JSON up to which HAProxy hands over no more of a body than these: the rest may be megabytes of tensors.
HEAD_BYTES = 16384

#: Runs in HAProxy, for each request with a body. It and Triton's parser read alike up to the first fault, where Triton
#: stops. `txn.json_bytes` says how much of the body is JSON, `txn.head` has its beginning.
SCRIPT = """\
local function deeper(text, limit)
  -- Almost no request has so many brackets, whatever they enclose.
  local at = 0
  for _ = 0, limit do
    at = text:find("[%[{]", at + 1)
    if not at then return false end
  end
  local depth = 0
  at = 1
  while true do
    at = text:find('[%[%]{}"]', at)
    if not at then return false end
    local byte = text:byte(at)
    if byte == 34 then
      repeat
        at = text:find('["\\\\]', at + 1)
        if not at then return false end
        local escapes = text:byte(at) == 92
        if escapes then at = at + 1 end
      until not escapes
    elseif byte == 91 or byte == 123 then
      depth = depth + 1
      if depth > limit then return true end
    else
      depth = depth - 1
    end
    at = at + 1
  end
end

core.register_fetches("json_deeper", function(txn, limit)
  local bytes = txn:get_var("txn.json_bytes")
  local text = txn:get_var("txn.head") or txn.sf:req_body()
  if #text > bytes then text = text:sub(1, bytes) end
  return deeper(text, tonumber(limit))
end)
"""
