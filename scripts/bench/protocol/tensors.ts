import { type TensorDescription } from "../../triton/tritonApi";

/** An input as it is sent. */
export interface Tensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  /** Little-endian, row by row, as in Triton's binary tensor data extension and in `raw_input_contents`. */
  readonly data: Buffer;
}

/** Bytes of an element, by data type. BYTES is not in it: its elements have a length of their own. */
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

/** The number one, by the data types that are not integers. */
const ONES: Readonly<Record<string, number[]>> = {
  FP16: [0x00, 0x3c],
  BF16: [0x80, 0x3f],
  FP32: [0x00, 0x00, 0x80, 0x3f],
  FP64: [0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xf0, 0x3f],
  // Four bytes of length, then the text "1".
  BYTES: [0x01, 0x00, 0x00, 0x00, 0x31],
};

/**
 * An input full of ones: latency does not depend on the values, and one is valid wherever a token, a mask or a
 * number is wanted.
 *
 * @param shape every extent, the batch first if the model has one
 * @throws Error for a data type that is not known
 */
export function ones({ name, datatype }: TensorDescription, shape: readonly number[]): Tensor {
  const one = ONES[datatype] ?? integerOne(datatype);
  const count = shape.reduce((product, extent) => product * extent, 1);
  return { name, datatype, shape, data: Buffer.alloc(count * one.length, Buffer.from(one)) };
}

function integerOne(datatype: string): number[] {
  const bytes = ELEMENT_BYTES[datatype];
  if (bytes === undefined) throw new Error(`an input has the data type ${datatype}, which is not known here`);
  return [1, ...Array<number>(bytes - 1).fill(0)];
}
