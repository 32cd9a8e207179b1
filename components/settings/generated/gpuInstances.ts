// What EC2 offers, by moto 5.2.5. Written by `npm run generate:instances`.
export const GPU_INSTANCES = {
  g4dn: {
    gpu: "T4",
    whole: true,
    sizes: ["xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "metal"],
  },
  g5: {
    gpu: "A10G",
    whole: true,
    sizes: ["xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge", "48xlarge"],
  },
  g6: {
    gpu: "L4",
    whole: true,
    sizes: ["xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge", "48xlarge"],
  },
  g6e: {
    gpu: "L40S",
    whole: true,
    sizes: ["xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge", "48xlarge"],
  },
  g6f: { gpu: "L4", whole: false, sizes: ["large", "xlarge", "2xlarge", "4xlarge"] },
  g7: {
    gpu: "RTX PRO 4500",
    whole: true,
    sizes: ["2xlarge", "4xlarge", "8xlarge", "12xlarge", "24xlarge", "48xlarge"],
  },
  g7e: {
    gpu: "RTX PRO Server 6000",
    whole: true,
    sizes: ["2xlarge", "4xlarge", "8xlarge", "12xlarge", "24xlarge", "48xlarge"],
  },
  gr6: { gpu: "L4", whole: true, sizes: ["4xlarge", "8xlarge"] },
  gr6f: { gpu: "L4", whole: false, sizes: ["4xlarge"] },
  p3dn: { gpu: "V100", whole: true, sizes: ["24xlarge"] },
  p4d: { gpu: "A100", whole: true, sizes: ["24xlarge"] },
  p4de: { gpu: "A100", whole: true, sizes: ["24xlarge"] },
  p5: { gpu: "H100", whole: true, sizes: ["4xlarge", "48xlarge"] },
  p5e: { gpu: "H200", whole: true, sizes: ["48xlarge"] },
  p5en: { gpu: "H200", whole: true, sizes: ["48xlarge"] },
  "p6-b200": { gpu: "B200", whole: true, sizes: ["48xlarge"] },
  "p6-b300": { gpu: "B300", whole: true, sizes: ["48xlarge"] },
} as const;
