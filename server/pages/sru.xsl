<?xml version="1.0" encoding="UTF-8"?>
<!-- SRU responses of 1.1, 1.2 and 2.0 as a page: names are compared without namespaces. -->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:output method="html" encoding="UTF-8" indent="no"/>

  <xsl:template match="/">
    <html lang="en">
      <head>
        <meta charset="utf-8"/>
        <meta name="viewport" content="width=device-width, initial-scale=1"/>
        <title>SRU 联目</title>
        <link rel="stylesheet" href="/assets/style.css"/>
      </head>
      <body><main class="sru"><xsl:apply-templates select="*"/></main></body>
    </html>
  </xsl:template>

  <xsl:template match="*[local-name()='searchRetrieveResponse']">
    <h1><xsl:value-of select="*[local-name()='numberOfRecords']"/> records 条记录</h1>
    <xsl:apply-templates select="*[local-name()='diagnostics']"/>
    <p><code><xsl:value-of select="*[local-name()='echoedSearchRetrieveRequest']/*[local-name()='query']"/></code></p>
    <xsl:apply-templates select="*[local-name()='facetedResults']/*"/>
    <xsl:apply-templates select="*[local-name()='records']/*"/>
    <xsl:apply-templates select="*[local-name()='nextRecordPosition']"/>
  </xsl:template>

  <xsl:template match="*[local-name()='nextRecordPosition']">
    <p>The next record is number <xsl:value-of select="."/>. 下一条: 第 <xsl:value-of select="."/> 条</p>
  </xsl:template>

  <xsl:template match="*[local-name()='scanResponse']">
    <h1>Terms 词表</h1>
    <xsl:apply-templates select="*[local-name()='diagnostics']"/>
    <table>
      <tr><th>term 词</th><th>records 记录</th></tr>
      <xsl:for-each select="*[local-name()='terms']/*">
        <tr>
          <td>
            <xsl:choose>
              <xsl:when test="*[local-name()='displayTerm']"><xsl:value-of select="*[local-name()='displayTerm']"/></xsl:when>
              <xsl:otherwise><xsl:value-of select="*[local-name()='value']"/></xsl:otherwise>
            </xsl:choose>
          </td>
          <td><xsl:value-of select="*[local-name()='numberOfRecords']"/></td>
        </tr>
      </xsl:for-each>
    </table>
  </xsl:template>

  <xsl:template match="*[local-name()='explainResponse']">
    <xsl:variable name="explain" select="*[local-name()='record']/*[local-name()='recordData']/*[local-name()='explain']"/>
    <h1><xsl:value-of select="$explain/*[local-name()='databaseInfo']/*[local-name()='title']"/></h1>
    <xsl:apply-templates select="*[local-name()='diagnostics']"/>
    <table>
      <tr><th>index 检索点</th><th></th><th>CQL</th></tr>
      <xsl:for-each select="$explain/*[local-name()='indexInfo']/*[local-name()='index']">
        <tr>
          <td><xsl:value-of select="*[local-name()='title'][1]"/></td>
          <td><xsl:value-of select="*[local-name()='title'][2]"/></td>
          <td>
            <xsl:for-each select="*[local-name()='map']/*[local-name()='name']">
              <code><xsl:value-of select="@set"/>.<xsl:value-of select="."/></code>
              <xsl:text> </xsl:text>
            </xsl:for-each>
          </td>
        </tr>
      </xsl:for-each>
    </table>
    <table>
      <tr><th>schema 格式</th><th></th></tr>
      <xsl:for-each select="$explain/*[local-name()='schemaInfo']/*">
        <tr><td><code><xsl:value-of select="@name"/></code></td><td><xsl:value-of select="*[local-name()='title']"/></td></tr>
      </xsl:for-each>
    </table>
  </xsl:template>

  <xsl:template match="*[local-name()='facet']">
    <details>
      <summary><xsl:value-of select="*[local-name()='facetDisplayLabel']"/></summary>
      <table>
        <xsl:for-each select="*[local-name()='terms']/*">
          <tr><td><xsl:value-of select="*[local-name()='actualTerm']"/></td><td><xsl:value-of select="*[local-name()='count']"/></td></tr>
        </xsl:for-each>
      </table>
    </details>
  </xsl:template>

  <xsl:template match="*[local-name()='diagnostics']">
    <xsl:for-each select="*">
      <p role="alert">
        <strong><xsl:value-of select="*[local-name()='message']"/></strong>
        <xsl:text> </xsl:text>
        <xsl:value-of select="*[local-name()='details']"/>
        <xsl:text> </xsl:text>
        <code><xsl:value-of select="*[local-name()='uri']"/></code>
      </p>
    </xsl:for-each>
  </xsl:template>

  <xsl:template match="*[local-name()='records']/*[local-name()='record']">
    <section>
      <h2><xsl:value-of select="*[local-name()='recordPosition']"/></h2>
      <xsl:apply-templates select="*[local-name()='recordData']"/>
    </section>
  </xsl:template>

  <xsl:template match="*[local-name()='recordData']">
    <xsl:choose>
      <xsl:when test="*[local-name()='diagnostic']">
        <p role="alert"><xsl:value-of select="*/*[local-name()='message']"/>: <xsl:value-of select="*/*[local-name()='details']"/></p>
      </xsl:when>
      <xsl:when test=".//*[local-name()='datafield'] or .//*[local-name()='controlfield']">
        <table><xsl:apply-templates select=".//*[local-name()='controlfield' or local-name()='datafield']" mode="marc"/></table>
      </xsl:when>
      <xsl:when test="*">
        <table>
          <xsl:for-each select=".//*[not(*)]">
            <tr><td><xsl:value-of select="local-name()"/></td><td><xsl:value-of select="."/></td></tr>
          </xsl:for-each>
        </table>
      </xsl:when>
      <xsl:otherwise><pre><xsl:value-of select="."/></pre></xsl:otherwise>
    </xsl:choose>
  </xsl:template>

  <xsl:template match="*" mode="marc">
    <tr>
      <td><code><xsl:value-of select="@tag"/><xsl:text> </xsl:text><xsl:value-of select="@ind1"/><xsl:value-of select="@ind2"/></code></td>
      <td>
        <xsl:value-of select="text()[not(../*)]"/>
        <xsl:for-each select="*"><code>$<xsl:value-of select="@code"/></code><xsl:text> </xsl:text><xsl:value-of select="."/><xsl:text> </xsl:text></xsl:for-each>
      </td>
    </tr>
  </xsl:template>
</xsl:stylesheet>
