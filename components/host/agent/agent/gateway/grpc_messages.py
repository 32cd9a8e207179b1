"""What a message of ModelInfer and ModelStreamInfer says of its tensors. Over gRPC, Triton believes a shape whose
product overflows: [4294967296, 4294967296] has no elements, [2305843009213693953] of 8 bytes each has 8 bytes, and the
process of a Python model ends with it, alone or in a stream (seen with r24.10). So the rule is that of JSON
(`json_shapes`).

A call of ModelInfer is looked at before it is let through. Its tensors' names and shapes are at its beginning, in every
client of Triton; what follows them may be larger than HAProxy keeps, and then its lengths have to leave no room for
another tensor. Each message of a stream is looked at as it passes, by a filter.
"""

#: Since which HAProxy has filters in Lua.
FILTERS = (2, 5)
#: The name of the filter.
FILTER = "grpc-messages"

#: Runs in HAProxy, for each inference over gRPC. A message, and how its tensors are written:
#: https://github.com/triton-inference-server/common/blob/r24.10/protobuf/grpc_service.proto
SCRIPT = """\
local WIDTHS = {
  BOOL = 1, INT8 = 1, UINT8 = 1, INT16 = 2, UINT16 = 2, FP16 = 2, BF16 = 2,
  INT32 = 4, UINT32 = 4, FP32 = 4, INT64 = 8, UINT64 = 8, FP64 = 8,
}
local INPUTS, OUTPUTS, RAW = 5, 6, 7
local MALFORMED = "the message is malformed"
local LARGER = "a shape has more elements than the message has bytes, or more than 64 dimensions"
local EMPTY = "a shape has two dimensions of 0, or one where a classification is asked for"
-- Bytes that are taken out of a stream at a time, and the most that a tensor may have beside its raw contents.
local PIECE, LARGEST = 65536, 1048576
-- No client needs as many: to go through millions of them would hold up others.
local MOST_FIELDS, MOST_DIMENSIONS, MANY = 10000, 64, "the message has too many fields"

-- A number of variable length, and where the next thing begins; nil if the text ends before, false if it is none.
local function varint(text, at)
  local byte = text:byte(at)
  if not byte then return nil end
  if byte < 128 then return byte, at + 1 end
  local value, shift = 0, 0
  for index = at, at + 9 do
    byte = text:byte(index)
    if not byte then return nil end
    value = value | (byte & 127) << shift
    if byte < 128 then return value, index + 1 end
    shift = shift + 7
  end
  return false
end

-- A field: its number, its kind, where its content begins and how long that is.
local function field(text, at)
  local key, start = varint(text, at)
  if not key then return key end
  local kind = key & 7
  if kind == 2 then
    local length, content = varint(text, start)
    if not length then return length end
    if length < 0 then return false end
    return key >> 3, kind, content, length
  elseif kind == 0 then
    local value, after = varint(text, start)
    if not value then return value end
    return key >> 3, kind, start, after - start
  elseif kind == 1 then
    return key >> 3, kind, start, 8
  elseif kind == 5 then
    return key >> 3, kind, start, 4
  end
  return false
end

-- What is wrong with a tensor, of a message with so many bytes; or else how many bytes it has, -1 if nobody knows,
-- whether it is empty, and how many fields it has.
local function tensor(text, bytes)
  local width, elements, zeros, dimensions, fields, at = nil, 1.0, 0, 0, 0, 1
  local function dimension(size)
    dimensions = dimensions + 1
    if size == 0 then zeros = zeros + 1 end
    -- Before a zero, too: Triton multiplies in the same order.
    elements = elements * math.abs(size + 0.0)
    return elements <= bytes and dimensions <= MOST_DIMENSIONS
  end
  while at <= #text do
    local number, kind, content, length = field(text, at)
    if not number or content + length - 1 > #text then return MALFORMED end
    fields = fields + 1
    if fields > MOST_FIELDS then return MANY end
    local stop = content + length
    if number == 2 and kind == 2 then
      width = WIDTHS[text:sub(content, stop - 1)]
    elseif number == 3 and (kind == 0 or kind == 2) then
      local from = content
      while from < stop do
        local size, after = varint(text, from)
        if not size or after > stop then return MALFORMED end
        if not dimension(size) then return LARGER end
        from = after
      end
    end
    at = stop
  end
  if zeros > 1 then return EMPTY end
  return nil, width and math.floor(elements * width) or -1, zeros > 0, fields
end

local Reader = {}
Reader.__index = Reader

-- Reads messages, each after its flag and its length, as they come.
-- most: bytes that a message may have.
local function reader(most)
  return setmetatable({ most = most, buffer = "", skip = 0 }, Reader)
end

function Reader:begin()
  local flag, length = self.buffer:byte(1), string.unpack(">I4", self.buffer, 2)
  if flag ~= 0 then return "compressed messages are not taken: nobody knows how large they are" end
  if length > self.most then return string.format("a message may have %d MB", self.most // 1048576) end
  self.length, self.left = length, length
  self.fields, self.tensors, self.raw, self.empty, self.classified, self.in_raw = 0, {}, 0, false, false, false
end

-- Takes a field of the message. Returns what is wrong, and whether more of it must come first.
function Reader:take(at)
  local number, kind, content, length = field(self.buffer, at)
  if number == false then return MALFORMED end
  if number == nil then
    if self.left <= #self.buffer - at + 1 then return MALFORMED end
    return nil, true
  end
  self.fields = self.fields + 1
  if self.fields > MOST_FIELDS then return MANY end
  local size = content - at + length
  if size > self.left or length > self.left then return MALFORMED end
  if kind == 2 and (number == INPUTS or number == OUTPUTS) then
    if size > LARGEST then return "a tensor of more than 1 MB must be in raw_input_contents" end
    if at + size - 1 > #self.buffer then return nil, true end
    local text = self.buffer:sub(content, content + length - 1)
    if number == INPUTS then
      local fault, bytes, empty, fields = tensor(text, self.length)
      if fault then return fault end
      self.fields = self.fields + fields
      self.tensors[#self.tensors + 1] = bytes
      self.empty = self.empty or empty
    elseif text:find("classification", 1, true) then
      self.classified = true
    end
    if self.empty and self.classified then return EMPTY end
  end
  self.in_raw = kind == 2 and number == RAW
  if self.in_raw then self.raw = self.raw + 1 end
  self.left = self.left - size
  self.taken = size
end

-- Takes what has come. Returns what is wrong.
function Reader:read(piece)
  self.buffer = self.buffer == "" and piece or self.buffer .. piece
  local at = 1
  while at <= #self.buffer do
    if not self.left or self.left == 0 then
      if at > 1 then self.buffer, at = self.buffer:sub(at), 1 end
      if #self.buffer < 5 then break end
      local fault = self:begin()
      if fault then return fault end
      at = 6
    else
      local fault, wait = self:take(at)
      if fault then return fault end
      if wait then break end
      at = at + self.taken
    end
  end
  self.skip = math.max(0, at - 1 - #self.buffer)
  self.buffer = self.buffer:sub(at)
end

-- Whether nothing can follow but the contents of the tensors that have been seen.
function Reader:is_full()
  if not self.left then return false end
  if self.skip == 0 and self.buffer == "" and self.left == 0 then return true end
  if not self.in_raw or self.buffer ~= "" then return false end
  local rest = self.left
  for index = self.raw + 1, #self.tensors do
    local bytes = self.tensors[index]
    if bytes < 0 then return false end
    local digits, value = 1, bytes
    while value > 127 do digits, value = digits + 1, value >> 7 end
    rest = rest - 1 - digits - bytes
  end
  return rest == 0
end

-- What is wrong with a call of one message; empty if nothing.
core.register_fetches("grpc_fault", function(txn, most)
  local body = txn.sf:req_body()
  if not body or body == "" then return "" end
  local call = reader(tonumber(most))
  local fault = call:read(body)
  if fault then return fault end
  if call:is_full() then return "" end
  return "the gateway sees only the beginning of a large message: what is not in raw_input_contents has to come first, "
    .. "and of the raw contents that follow a large one each must be as large as its shape says"
end)

if core.register_filter then
  local Messages = { id = "@FILTER@", flags = filter.FLT_CFG_FL_HTX }
  Messages.__index = Messages

  function Messages:new()
    return setmetatable({ reader = reader(self.most) }, Messages)
  end

  function Messages:http_headers(txn, headers)
    -- Answers too, although they pass unseen: HAProxy 3.0 to 3.4 keep those of a stream back otherwise, from the second
    -- on, until the stream ends.
    filter.register_data_filter(self, headers.channel)
    return filter.CONTINUE
  end

  function Messages:http_payload(txn, payload)
    if payload.channel:is_resp() then return end
    local here, at = payload:input(), 0
    while at < here do
      local reads = self.reader
      if reads.skip > 0 then
        local passed = math.min(reads.skip, here - at)
        reads.skip, at = reads.skip - passed, at + passed
      else
        local piece = payload:body(at, math.min(PIECE, here - at))
        -- What is no data is the end, which passes.
        if not piece or piece == "" then break end
        local fault = reads:read(piece)
        -- HAProxy 2.6 takes no error from a filter but this one.
        if fault then error("a message of a stream is refused: " .. fault, 0) end
        at = at + #piece
      end
    end
  end

  core.register_filter("@FILTER@", Messages, function(messages, arguments)
    messages.most = tonumber(arguments[1])
    return messages
  end)
end
""".replace("@FILTER@", FILTER)
