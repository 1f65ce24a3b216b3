// npx allure@3 generate --config reports/allure/allurerc.mjs runs/latest/allure-results
// The report is one file and must stay inside the hospital: the allure2 plugin honours ALLURE_NO_ANALYTICS=true.
process.env.ALLURE_NO_ANALYTICS = "true";

export default {
  name: "Stepwedge",
  output: "runs/latest/allure-report",
  historyPath: "runs/history.jsonl",
  categories: [
    { name: "SUT does not conform", matchedStatuses: ["failed"] },
    { name: "Could not tell", matchedStatuses: ["broken"], messageRegex: "inconclusive:.*" },
    { name: "Lab or network trouble", matchedStatuses: ["broken"] },
    { name: "Not claimed", matchedStatuses: ["skipped"] },
  ],
  plugins: {
    awesome: { options: { singleFile: true, theme: "light", groupBy: ["epic", "feature"] } },
  },
};
