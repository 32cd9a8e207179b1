// A Triton for a test, in a process of its own: its address is what it prints. The model `chat` is above `batch`.
import { ServingTriton } from "./servingTriton";

const takes = () => ({ queue: 0, compute_input: 0, compute_infer: 1_000_000, compute_output: 0 });
void ServingTriton.start([
  { name: "chat", priority: 200, takes },
  { name: "batch", priority: -100, takes },
]).then(({ url }) => {
  console.log(url);
});
