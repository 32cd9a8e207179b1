export function renderModelConfig(own: string|undefined, model: {name:string, priority:number}): string {
  const t = model.priority>0?"PRIORITY_MAX":model.priority<0?"PRIORITY_MIN":"PRIORITY_DEFAULT";
  if (own?.includes("xsched_priority")) return own;
  return `${own??""}\noptimization { priority: ${t} }\nparameters { key: "xsched_priority" value { string_value: "${model.priority}" } }\n`;
}
