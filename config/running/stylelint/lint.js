// Lint the style sheets that the arguments name, by stylelint's recommended rules.
import stylelint from "stylelint";
import recommended from "stylelint-config-recommended";

const rules = {
  ...recommended.rules,
  // Rules stand by component, so one of another component may follow a more specific one.
  "no-descending-specificity": null,
};
const { errored, report } = await stylelint.lint({
  files: Deno.args,
  config: { rules },
  formatter: "string",
});
console.error(report);
Deno.exit(errored ? 1 : 0);
