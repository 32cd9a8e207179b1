"""How many elements the JSON of a request says that its tensors have: Triton makes room for as many before it looks at
the data, and a request of a hundred bytes with the shape [9223372036854775807, 2] ends the server (seen with r24.10).

An element takes at least one byte of the body, in JSON and in binary. So a shape of more elements than the body has
bytes is wrong in any case.
"""

#: Runs in HAProxy, for each inference. `txn.json_bytes` says how much of the body is JSON, `txn.head` has its
#: beginning, `txn.body_bytes` is the length of the body.
SCRIPT = """\
-- Whether a key is written with an escape: "\\\\u0073hape" is "shape" to Triton. No client writes one so.
local function disguised(text)
  if not text:find("\\\\", 1, true) then return false end
  local at = 1
  while true do
    at = text:find('"', at, true)
    if not at then return false end
    local escaped = false
    repeat
      at = text:find('["\\\\]', at + 1)
      if not at then return false end
      local escapes = text:byte(at) == 92
      if escapes then
        escaped = true
        at = at + 1
      end
    until not escapes
    if escaped and text:find("^%s*:", at + 1) then return true end
    at = at + 1
  end
end

local function larger(text, most)
  for shape in text:gmatch('"shape"%s*:%s*%[([^%]]*)') do
    local elements = 1.0
    for size in shape:gmatch("[^,%s]+") do
      -- Triton itself refuses what is no number.
      elements = elements * (tonumber(size) or 1)
      -- Before a zero, too: Triton multiplies in the same order.
      if elements > most then return true end
    end
  end
  return false
end

core.register_fetches("shapes_larger", function(txn)
  local bytes = txn:get_var("txn.json_bytes")
  local text = txn:get_var("txn.head") or txn.sf:req_body()
  if #text > bytes then text = text:sub(1, bytes) end
  return disguised(text) or larger(text, txn:get_var("txn.body_bytes"))
end)
"""
