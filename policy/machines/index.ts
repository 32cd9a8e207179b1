export { launchesOf } from "./launch";
export { metadataService } from "./metadataService";
export { publicAddress } from "./publicAddress";
export { supportedGpu } from "./supportedGpu";
export { secretInUserData } from "./userData";
