import { text } from "./rules";

export const modelName = text({
  allowed:
    "1 to 128 letters, digits, dots, dashes and underscores, a letter or digit first (it is a folder name and part of Triton's URLs)",
  example: "my-model",
  refuse(value) {
    if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(value)) {
      return undefined;
    }
    const legal = value
      .slice(0, 128)
      .replace(/[^A-Za-z0-9_.-]+/g, "-")
      .replace(/^[_.-]+/, "");
    return legal === "" ? "choose another name, for example my-model" : `rename it, for example ${legal}`;
  },
});
