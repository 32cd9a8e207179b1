import { object, optional, required } from "../settings/rules";
import {
  buildFields,
  image,
  imageByDigest,
  passwordText,
  refuseTwoImages,
  username,
} from "../settings/runtimeSettings";
import { orLater, orLaterFields } from "./later";

const loginFields = {
  username: required(username, "Name to log in with."),
  password: required(
    passwordText("a password or token of one line", "give the password, from a secret of the stack's config"),
    "Password or token.",
  ),
};

const LOGIN = "an object with a username and a password";

export const loginArgument = object(LOGIN, loginFields);

/** How to log in to the image's registry, if Docker is not logged in. */
export const loginNow = optional(
  orLater(object(LOGIN, orLaterFields(loginFields))),
  "How to log in to the image's registry.",
  "Docker's own log-in",
);

const BUILD = "an object that says what to build";

export const buildArgument = object(BUILD, buildFields);

/** An image that is there already. */
export const anyImageArgument = image;

/** An image that cannot change. */
export const imageArgument = imageByDigest;

export const tritonImageNow = object(
  "an object with the arguments of an image",
  {
    image: optional(orLater(image), "An image that is there already.", "made by build"),
    build: optional(orLater(object(BUILD, orLaterFields(buildFields))), "What to build.", "image is there"),
    registry: loginNow,
  },
  (_, at, raw) => {
    refuseTwoImages(raw, at);
  },
);
