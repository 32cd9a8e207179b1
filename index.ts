import { stackConfig, TritonStack } from "./components";

export = new TritonStack("triton", stackConfig()).outputs;
