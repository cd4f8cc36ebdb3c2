"""Fields of the MARC 21 bibliographic format, for validation.

One line a field: tag, R or N (may it be repeated), what the indicators may be,
the subfields, the name. `#` is a blank; `0-9` a range; a subfield with `*` may
be repeated, `a-z*` is every letter. Subfields 0, 1, 3, 5, 6, 7, 8 and 9 (control
subfields, and by custom local ones) are taken in every field and not written
here, and 9 as an indicator is a library's own. Values that were made obsolete
but stand in many good records are allowed.

Source: MARC 21 Format for Bibliographic Data, Library of Congress, to update 38.
"""

from __future__ import annotations

SOURCE = "MARC 21 Format for Bibliographic Data"

CONTROL_FIELDS = """\
001 N Control number
003 N Control number identifier
005 N Date and time of latest transaction
006 R Additional material characteristics
007 R Physical description fixed field
008 N Fixed-length data elements
009 N Physical description of archival collections (obsolete)
"""

FIELDS = """\
010 N # # ab*z* Library of Congress control number
013 R # # abcd*e*f* Patent control information
015 R # # a*q*z*2 National bibliography number
016 R #7 # az*2 National bibliographic agency control number
017 R # #8 a*bdiz*2 Copyright or legal deposit number
018 N # # a Copyright article-fee code
020 R # # abcq*z* International Standard Book Number
022 R #01 # alm*y*z*2 International Standard Serial Number
023 R 01 # ay*z* Cluster ISSN
024 R 0123478 #01 abcdq*z*2 Other standard identifier
025 R # # a* Overseas acquisition number
026 R # # abcd*e2 Fingerprint identifier
027 R # # aq*z* Standard technical report number
028 R 0-6 0-3 abq* Publisher or distributor number
030 R # # az* CODEN designation
031 R # # abcd*egmnopq*rs*t*u*y*z*2 Musical incipits information
032 R # # ab Postal registration number
033 R #0-2 #0-2 a*b*c*p*2* Date, time and place of an event
034 R 013 #01 ab*c*defgh*jkmnprs*t*xyz2 Coded cartographic mathematical data
035 R # # az* System control number
036 N # # ab Original study number for computer data files
037 R #23 # abc*f*g*n* Source of acquisition
038 N # # a Record content licensor
040 N # # abcd*e* Cataloging source
041 R #01 #7 a*b*d*e*f*g*h*i*j*k*m*n*p*q*r*t*2 Language code
042 N # # a* Authentication code
043 N # # a*b*c*2* Geographic area code
044 N # # a*b*c*2* Country of publishing or producing entity
045 N #0-2 # a*b*c* Time period of content
046 R #1-3 # abcdejklmnopx*z*2 Special coded dates
047 R # #7 a*2 Form of musical composition code
048 R # #7 a*b*2 Number of musical instruments or voices code
050 R #01 #04 a*bu Library of Congress call number
051 R # # abc Library of Congress copy, issue, offprint statement
052 R #17 # ab*d*2 Geographic classification
055 R #01 #0-9 ab2 Classification numbers assigned in Canada
060 R #01 #04 a*b National Library of Medicine call number
061 R # # a*bc National Library of Medicine copy statement
066 N # # abc* Character sets present
070 R #01 # a*b National Agricultural Library call number
071 R # # a*bc National Agricultural Library copy statement
072 R # #0-7 ax*2 Subject category code
074 R # # az* GPO item number
080 R #01 # abx*2 Universal Decimal Classification number
082 R #0-27 #04 a*bmq2 Dewey Decimal Classification number
083 R 017 # a*c*mqy*z*2 Additional Dewey Decimal Classification number
084 R #017 # a*bq2 Other classification number
085 R # # a*b*c*f*r*s*t*u*v*w*y*z* Synthesized classification number components
086 R #01 # az*2 Government document classification number
088 R # # az* Report number
100 N 0-3 #0-2 abc*de*fg*j*k*ln*p*qtu24* Main entry, personal name
110 N 0-2 #0-2 ab*c*d*e*fg*k*ln*p*tu24* Main entry, corporate name
111 N 0-2 #0-2 abc*d*e*fg*j*k*ln*p*qtu24* Main entry, meeting name
130 N 0-9 # ad*fg*hk*lm*n*op*rs*t24* Main entry, uniform title
210 R 01 #0 ab2* Abbreviated title
222 R # 0-9 ab Key title
240 N 01 0-9 ad*fg*hk*lm*n*op*rs*24* Uniform title
242 R 01 0-9 abchn*p*y Translation of title by cataloging agency
243 N 01 0-9 ad*fg*hk*lm*n*op*rs* Collective uniform title
245 N 01 0-9 abcfghk*n*p*s Title statement
246 R 0-3 #0-8 abfg*hin*p* Varying form of title
247 R 01 01 abfg*hn*p*x Former title
250 R # # ab Edition statement
251 R # # a*2 Version information
254 N # # a Musical presentation statement
255 R # # abcdefg Cartographic mathematical data
256 N # # a Computer file characteristics
257 R # # a*2 Country of producing entity
258 R # # ab Philatelic issue data
260 R #0-3 #01 a*b*c*de*f*g* Publication, distribution (imprint)
261 N # # a*b*d*e*f* Imprint of films (obsolete)
262 N # # abcdkl Imprint of sound recordings (obsolete)
263 N # # a Projected publication date
264 R #23 0-4 a*b*c* Production, publication, distribution, manufacture, copyright notice
270 R #12 #07 a*bcdefghij*k*l*m*n*p*q*r*z*4* Address
300 R # # a*bc*ef*g* Physical description
305 N # # abcdefmn Physical description of sound recordings (obsolete)
306 N # # a* Playing time
307 R #8 # ab Hours
310 R # # ab2 Current publication frequency
321 R # # ab2 Former publication frequency
334 R # # ab2 Mode of issuance
335 R # # ab2 Extension plan
336 R # # a*b*2 Content type
337 R # # a*b*2 Media type
338 R # # a*b*2 Carrier type
340 R # # a*b*c*d*e*f*g*h*i*j*k*l*m*n*o*p*q*2 Physical medium
341 R #01 # ab*c*d*e*2 Accessibility content
342 R 01 0-8 abcde*f*ghijklmnopqrstuvw2 Geospatial reference data
343 R # # abcdefghi Planar coordinate data
344 R # # a*b*c*d*e*f*g*h*i*j*2 Sound characteristics
345 R # # a*b*c*d*2 Moving image characteristics
346 R # # a*b*2 Video characteristics
347 R # # a*b*c*d*e*f*2 Digital file characteristics
348 R # # a*b*c*d*2 Notated music characteristics
351 R # # a*b*c Organization and arrangement of materials
352 R # # ab*c*defgiq* Digital graphic representation
353 R # # a*b*2 Supplementary content characteristics
355 R 0-58 # ab*c*defghj* Security classification control
357 N # # ab*c*g* Originator dissemination control
361 R #01 # afklosuxyz Structured ownership and custodial history
362 R 01 # az Dates of publication, sequential designation
363 R #01 #01 abcdefghijklmuvx*z* Normalized date and sequential designation
365 R # # abcdefghijkm2 Trade price
366 R # # abcdefgjkm2 Trade availability information
370 R # # abc*f*g*i*stu*v*24* Associated place
377 R # #7 a*l*2 Associated language
380 R # # a*2 Form of work
381 R # # a*u*v*2 Other distinguishing characteristics of work or expression
382 R #0-3 #01 a*b*d*e*n*p*rstv*2 Medium of performance
383 R # # a*b*c*de2 Numeric designation of musical work
384 R #01 # a Key
385 R # # a*b*mn2 Audience characteristics
386 R # # a*b*i*mn24* Creator or contributor characteristics
387 R # # a*bc*d*e*f*g*h*i*j*k*l*m*2 Representative expression characteristics
388 R #12 # a*2 Time period of creation
440 R # 0-9 an*p*vw*x Series statement, added entry title
490 R 01 # a*lv*x*y*z* Series statement
500 R # # a General note
501 R # # a With note
502 R # # abcdg*o* Dissertation note
504 R # # ab Bibliography note
505 R 0-38 #0 ag*r*t*u* Formatted contents note
506 R #01 # ab*c*d*e*f*g*q*u*2 Restrictions on access note
507 N # # ab Scale note for visual materials
508 R # # a Creation or production credits note
510 R 0-4 # abcu*x Citation or references note
511 R #0-3 # a Participant or performer note
513 R # # ab Type of report and period covered note
514 N # # ab*c*defg*h*ij*k*mu*z* Data quality note
515 R # # a Numbering peculiarities note
516 R #8 # a Type of computer file or data note
518 R # # ad*o*p*2* Date, time and place of an event note
520 R #0-48 # abcu*2 Summary
521 R #0-48 # a*b Target audience note
522 R #8 # a Geographic coverage note
524 R #8 # a2 Preferred citation of described materials note
525 R # # a Supplement note
526 R 08 # abcdix*z* Study program information note
530 R # # abcdu* Additional physical form available note
532 R 0-28 # a Accessibility note
533 R # # ab*c*def*m*n*y Reproduction note
534 R # # abcef*k*lmn*o*ptx*z* Original version note
535 R 12 # ab*c*d*g Location of originals or duplicates note
536 R # # ab*c*d*e*f*g*h* Funding information note
538 R # # aiu* System details note
540 R # # abcdf*g*qu*2 Terms governing use and reproduction note
541 R #01 # abcdefhn*o* Immediate source of acquisition note
542 R #01 # abcd*e*f*gh*ijk*lmn*op*qrsu* Information relating to copyright status
544 R #01 # a*b*c*d*e*n* Location of other archival materials note
545 R #01 # abu* Biographical or historical data
546 R # # ab*z* Language note
547 R # # a Former title complexity note
550 R # # a Issuing body note
552 R # # abcde*f*ghijklmno*p*u*z* Entity and attribute information note
555 R #08 # ab*cdu* Cumulative index or finding aids note
556 R #8 # az* Information about documentation note
561 R #01 # au* Ownership and custodial history
562 R #01 # a*b*c*d*e* Copy and version identification note
563 R # # au* Binding information
565 R #08 # ab*c*d*e* Case file characteristics note
567 R #8 # ab*2 Methodology note
580 R # # a Linking entry complexity note
581 R #8 # az* Publications about described materials note
583 R #01 # ab*c*d*e*f*h*i*j*k*l*n*o*u*x*z*2 Action note
584 R # # a*b* Accumulation and frequency of use note
585 R # # a Exhibitions note
586 R #8 # a Awards note
588 R #01 # a Source of description note
600 R 0-3 0-7 abc*de*fg*hj*k*lm*n*op*qrs*tuv*x*y*z*24* Subject, personal name
610 R 0-2 0-7 ab*c*d*e*fg*hk*lm*n*op*rs*tuv*x*y*z*24* Subject, corporate name
611 R 0-2 0-7 abc*d*e*fg*hj*k*ln*p*qs*tuv*x*y*z*24* Subject, meeting name
630 R 0-9 0-7 ad*e*fg*hk*lm*n*op*rs*tv*x*y*z*24* Subject, uniform title
647 R # 0-7 ac*dg*v*x*y*z*2 Subject, named event
648 R #01 0-7 av*x*y*z*2 Subject, chronological term
650 R #0-2 0-7 abcde*g*v*x*y*z*24* Subject, topical term
651 R # 0-7 abe*g*v*x*y*z*24* Subject, geographic name
653 R #0-2 #0-6 a* Index term, uncontrolled
654 R #0-2 # a*b*c*e*v*y*z*24* Subject, faceted topical terms
655 R #0 0-7 ab*c*v*x*y*z*2 Index term, genre or form
656 R # 7 akv*x*y*z*2 Index term, occupation
657 R # 7 av*x*y*z*2 Index term, function
658 R # # ab*cd2 Index term, curriculum objective
662 R # # a*bc*de*f*g*h*24* Subject, hierarchical place name
688 R # #7 ae*g*24* Subject, type of entity unspecified
700 R 0-3 #0-2 abc*de*fg*hi*j*k*lm*n*op*qrs*tux24* Added entry, personal name
710 R 0-2 #0-2 ab*c*d*e*fg*hi*k*lm*n*op*rs*tux24* Added entry, corporate name
711 R 0-2 #0-2 abc*d*e*fg*hi*j*k*ln*p*qs*tux24* Added entry, meeting name
720 R #12 # ae*4* Added entry, uncontrolled name
730 R 0-9 #0-2 ad*fg*hi*k*lm*n*op*rs*tx24* Added entry, uniform title
740 R 0-9 #0-2 ahn*p* Added entry, uncontrolled title
751 R # # ae*g*24* Added entry, geographic name
752 R # # a*bc*de*f*g*h*24* Added entry, hierarchical place name
753 R # # abc2 System details access to computer files
754 R # # a*c*d*x*z*2 Added entry, taxonomic identification
758 R # # ai*24* Resource identifier
760 R 01 #8 abcdg*hi*mn*o*stw*xy4* Main series entry
762 R 01 #8 abcdg*hi*mn*o*stw*xy4* Subseries entry
765 R 01 #8 abcdefg*hi*jk*mn*o*pqr*stuvw*xyz*4* Original language entry
767 R 01 #8 abcdefg*hi*jk*mn*o*pqr*stuvw*xyz*4* Translation entry
770 R 01 #8 abcdefg*hi*jk*mn*o*pqr*stuvw*xyz*4* Supplement or special issue entry
772 R 01 #08 abcdefg*hi*jk*mn*o*pqr*stuvw*xyz*4* Supplement parent entry
773 R 01 #8 abcdefg*hi*jk*mn*o*pqr*stuvw*xyz*4* Host item entry
774 R 01 #8 abcdefg*hi*jk*mn*o*pqr*stuvw*xyz*4* Constituent unit entry
775 R 01 #8 abcdefg*hi*jk*mn*o*pqr*stuvw*xyz*4* Other edition entry
776 R 01 #8 abcdefg*hi*jk*mn*o*pqr*stuvw*xyz*4* Additional physical form entry
777 R 01 #8 abcdefg*hi*jk*mn*o*pqr*stuvw*xyz*4* Issued with entry
780 R 01 0-7 abcdefg*hi*jk*mn*o*pqr*stuvw*xyz*4* Preceding entry
785 R 01 0-8 abcdefg*hi*jk*mn*o*pqr*stuvw*xyz*4* Succeeding entry
786 R 01 #8 abcdefg*hi*jk*mn*o*pqr*stuvw*xyz*4* Data source entry
787 R 01 #8 abcdefg*hi*jk*mn*o*pqr*stuvw*xyz*4* Other relationship entry
800 R 0-3 # abc*de*fg*hj*k*lm*n*op*qrs*tuvw*x24* Series added entry, personal name
810 R 0-2 # ab*c*d*e*fg*hk*lm*n*op*rs*tuvw*x24* Series added entry, corporate name
811 R 0-2 # abc*d*e*fg*hj*k*ln*p*qs*tuvw*x24* Series added entry, meeting name
830 R #0 0-9 ad*fg*hk*lm*n*op*rs*tvw*x24* Series added entry, uniform title
841 N # # ab*e Holdings coded data values
842 N # # a Textual physical form designator
843 R # # ab*c*def*m*n* Reproduction note
844 N # # a Name of unit
845 R # # abcdfgq*u* Terms governing use and reproduction note
850 R # # a* Holding institution
852 R #0-8 #0-2 ab*c*d*e*f*g*hi*jk*lm*npqs*tu*x*z*2 Location
856 R #0-47 #0-48 a*b*c*d*e*f*g*h*i*jklm*nopq*r*s*t*u*v*w*x*y*z*2 Electronic location and access
857 R #14 #0-48 bcdefghlmnqrstuxyz2 Electronic archive location and access
881 R # # a-z* Manifestation statements
882 N # # a*i*w* Replacement record information
883 R #0-2 # acdqux*w* Metadata provenance
884 R # # agkqu* Description conversion information
885 R # # abcdw*x*z*2 Matching information
886 R 0-2 # a-z*24* Foreign MARC information field
887 R # # a2 Non-MARC information field
"""

# Not checked: 880, which is checked as what it links to; holdings within a
# bibliographic record, which another format defines; and fields made obsolete.
UNCHECKED = frozenset((
    "880",
    "853", "854", "855", "863", "864", "865", "866", "867", "868", "876", "877", "878",
    "011", "012", "211", "212", "214", "241", "265", "301", "302", "303", "304", "308", "315",
    "350", "400", "410", "411", "503", "512", "517", "523", "527", "537", "543", "570", "582",
    "652", "680", "681", "683", "705", "715", "755", "840", "851", "870", "871", "872", "873",
))  # fmt: skip
