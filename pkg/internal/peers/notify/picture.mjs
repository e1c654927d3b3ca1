// Renders the request for Teams from the standard input as a phone shows it, with Microsoft's library in a headless browser, into
// the PNG file of the first argument. The second is the browser's path.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const require = createRequire(import.meta.url);
const [file, executablePath] = process.argv.slice(2);
const card = JSON.parse(readFileSync(0, "utf8")).attachments[0].content;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 412, height: 900 }, deviceScaleFactor: 1.5 });
await page.setContent(`<style>body{margin:12px;background:#f5f5f5;font-family:sans-serif}
  #card{background:#fff;border:1px solid #ddd;padding:4px}
  .ac-pushButton{background:#fff;border:1px solid #5b5fc7;color:#5b5fc7;border-radius:4px;padding:8px 12px;font-weight:600}</style><div id="card"></div>`);
await page.addScriptTag({ path: require.resolve("adaptivecards/dist/adaptivecards.min.js") });
await page.evaluate((json) => {
  const card = new AdaptiveCards.AdaptiveCard();
  card.hostConfig = new AdaptiveCards.HostConfig({ fontFamily: "sans-serif", spacing: { padding: 12 } });
  card.parse(json);
  document.getElementById("card").append(card.render());
}, card);
await page.locator("#card").screenshot({ path: file });
await browser.close();
