// npx allure@3 generate --config reports/allure/allurerc.mjs runs/latest/allure-results
// The report is one file and must stay inside the hospital. Only the allure2 plugin honours ALLURE_NO_ANALYTICS;
// the newer plugins write a request to an analytics service into every page.
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
    allure2: { options: { singleFile: true, reportName: "Stepwedge" } },
  },
};
