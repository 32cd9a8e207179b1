import eslint from "@eslint/js";
import globals from "globals";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["**/node_modules/", ".local/", "**/dist/", "native/"] },
  eslint.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { project: "./tsconfig.json", tsconfigRootDir: import.meta.dirname } },
    rules: {
      // A number or a boolean in a message is what it looks like.
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true },
      ],
      // Does not see through pulumi.Input.
      "@typescript-eslint/no-unsafe-enum-assignment": "off",
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      // `const { kind, ...rest } = …` is how a key is left away.
      "@typescript-eslint/no-unused-vars": ["error", { ignoreRestSiblings: true }],
    },
  },
  {
    files: ["**/*.ts"],
    ignores: [
      "components/settings/**",
      "test/unit/settings/**",
      "scripts/generate/**",
      "components/index.ts",
    ],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              group: ["**/settings/*", "!**/unit/settings/*", "!../settings/context"],
              message: "Import from components/settings.",
            },
          ],
        },
      ],
    },
  },
  {
    files: ["test/**/*.ts"],
    // A test says by its next assertion what is there.
    rules: { "@typescript-eslint/no-non-null-assertion": "off" },
  },
  ...[
    ["live", "bench"],
    ["bench", "live"],
    ["triton", "{bench,live}"],
  ].map(([room, others]) => ({
    files: [`scripts/${room}/**/*.ts`],
    rules: {
      "no-restricted-imports": [
        "error",
        { patterns: [{ group: [`**/${others}/**`], message: "What both need belongs in scripts/triton." }] },
      ],
    },
  })),
  { files: ["**/*.mjs", "**/*.cjs"], languageOptions: { globals: globals.node } },
  {
    files: ["components/plugin/*.js"],
    languageOptions: { sourceType: "commonjs", globals: globals.node },
  },
);
