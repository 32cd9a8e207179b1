import { type TensorDescription } from "../../triton/tritonApi";

/** An input, ready to send. */
export interface Tensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  /** Little-endian, row by row, as in Triton's binary tensor data extension and in `raw_input_contents`. */
  readonly data: Buffer;
}

/** Bytes per element, by data type, except BYTES, whose elements vary in length. */
const ELEMENT_BYTES: Readonly<Record<string, number>> = {
  BOOL: 1,
  UINT8: 1,
  INT8: 1,
  UINT16: 2,
  INT16: 2,
  FP16: 2,
  BF16: 2,
  UINT32: 4,
  INT32: 4,
  FP32: 4,
  UINT64: 8,
  INT64: 8,
  FP64: 8,
};

/** The number one in each data type that is not an integer. */
const ONES: Readonly<Record<string, number[]>> = {
  FP16: [0x00, 0x3c],
  BF16: [0x80, 0x3f],
  FP32: [0x00, 0x00, 0x80, 0x3f],
  FP64: [0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xf0, 0x3f],
  // Four bytes of length, then the text "1".
  BYTES: [0x01, 0x00, 0x00, 0x00, 0x31],
};

/**
 * An input filled with ones. Latency does not depend on the values, and one is a valid token, mask and number.
 *
 * @param shape all extents, starting with the batch if the model has one
 * @throws Error for an unknown data type
 */
export function ones({ name, datatype }: TensorDescription, shape: readonly number[]): Tensor {
  const one = ONES[datatype] ?? integerOne(datatype);
  const count = shape.reduce((product, extent) => product * extent, 1);
  return { name, datatype, shape, data: Buffer.alloc(count * one.length, Buffer.from(one)) };
}

function integerOne(datatype: string): number[] {
  const bytes = ELEMENT_BYTES[datatype];
  if (bytes === undefined) throw new Error(`an input has the unknown data type ${datatype}`);
  return [1, ...Array<number>(bytes - 1).fill(0)];
}
