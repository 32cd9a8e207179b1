export { withoutMark } from "./lexer";
export { messagesOf, named, TextDocument } from "./document";
export { type Field, type MessageValue, parseTextFormat, type ScalarValue } from "./parser";
export { EnumName, message, messages, type NewField, type NewMessage, scalar, scalars } from "./printer";
export { placeIn, TextFormatError } from "./textFormatError";
