"""How many elements the JSON of a request says that its tensors have: Triton makes room for as many before it looks at
the data, and a request of a hundred bytes with the shape [9223372036854775807, 2] ends the server (seen with r24.10).

An element takes at least one byte of the body, in JSON and in binary. So a shape of more elements than the body has
bytes is wrong in any case.

A request for the classification of a tensor that is empty ends the server, too, and one for a batch of no empty tensors
is never answered (both seen with r24.10).
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

local function wrong(text, most)
  local classified = text:find('"classification"', 1, true)
  for shape in text:gmatch('"shape"%s*:%s*%[([^%]]*)') do
    local elements, zeros = 1.0, 0
    for size in shape:gmatch("[^,%s]+") do
      -- Triton itself refuses what is no number.
      local number = tonumber(size) or 1
      elements = elements * number
      if number == 0 then zeros = zeros + 1 end
      -- Before a zero, too: Triton multiplies in the same order.
      if elements > most then return true end
    end
    if zeros > 1 or zeros > 0 and classified then return true end
  end
  return false
end

core.register_fetches("shapes_wrong", function(txn)
  local bytes = txn:get_var("txn.json_bytes")
  local text = txn:get_var("txn.head") or txn.sf:req_body()
  if #text > bytes then text = text:sub(1, bytes) end
  return disguised(text) or wrong(text, txn:get_var("txn.body_bytes"))
end)
"""
