// Parses and binds KQL with Microsoft's own language service. Reads {name: query} as JSON from stdin, writes
// {name: {faults: [...], columns: [...]}}. The tables are those of Application Insights that the queries read.
require("@kusto/language-service-next/bridge.js");
require("@kusto/language-service-next/Kusto.Language.Bridge.js");
const { Symbols, KustoCode, GlobalState } = Kusto.Language;

const common = "customDimensions: dynamic, operation_Id: string, operation_ParentId: string, cloud_RoleInstance: string";
const tables = {
  customMetrics: `timestamp: datetime, name: string, value: real, valueCount: int, valueSum: real, valueMin: real, valueMax: real, ${common}`,
  traces: `timestamp: datetime, message: string, severityLevel: int, ${common}`,
  requests: `timestamp: datetime, id: string, name: string, success: string, resultCode: string, duration: real, ${common}`,
};
const symbols = Object.entries(tables).map(([name, columns]) => new Symbols.TableSymbol.$ctor7(name, `(${columns})`, null));
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.$ctor2("insights", null, symbols));

const answers = {};
for (const [name, query] of Object.entries(JSON.parse(require("fs").readFileSync(0, "utf8")))) {
  const code = KustoCode.ParseAndAnalyze(query, globals);
  const found = code.GetDiagnostics();
  const faults = [];
  for (let i = 0; i < found.Count; i++) faults.push(`${found.getItem(i).Code} at ${found.getItem(i).Start}: ${found.getItem(i).Message}`);
  const columns = [];
  for (let i = 0; code.ResultType && code.ResultType.Columns && i < code.ResultType.Columns.Count; i++) columns.push(code.ResultType.Columns.getItem(i).Name);
  answers[name] = { faults, columns };
}
console.log(JSON.stringify(answers));
