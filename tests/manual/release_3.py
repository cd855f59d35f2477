"""The options of pypx 3.12.6, tool by tool."""

from __future__ import annotations

from collections.abc import Mapping

_OF_EVERY_TOOL = "-h --help -v --verbosity -x --desc -y --synopsis --version"

_OPTIONS: Mapping[str, str] = {
    "pfstorage": """
        --storeBaseLocation --swiftIP --swiftPort --swiftLogin --upstreamFile --upstream --do --action
        --args --test --debugToDir --type --json
    """,
    "px-do": """
        --reportData --reportDataFile --db --withFeedBack --then --thenArgs --intraSeriesRetrieveDelay
        --move --json --waitForUserTerminate
    """,
    "px-echo": """
        --aet --aec --serverIP --serverPort --echoscu
    """,
    "px-find": """
        --JSONargs --db --PACS --CUBE --swift --aet --aec --serverIP --serverPort --findscu --movescu
        --StudyOnly --QueryReturnTags --AccessionNumber --PatientID --PatientName --PatientSex
        --StudyDate --ModalitiesInStudy --Modality --PerformedStationAETitle --StudyDescription
        --SeriesDescription --SeriesInstanceUID --StudyInstanceUID --ProtocolName
        --AcquisitionProtocolName --AcquisitionProtocolDescription --withFeedBack --then --thenArgs
        --intraSeriesRetrieveDelay --move --json --waitForUserTerminate
    """,
    "px-listen": """
        -t --tmpdir -l --logdir -d --datadir -e --executable --debug
    """,
    "px-move": """
        --aet --aec --serverIP --serverPort --movescu --SeriesInstanceUID --StudyInstanceUID
    """,
    "px-push": """
        --JSONargs --db -p --xcrdir -f --xcrfile --xcrdirfile --parseAllFilesWithSubStr --swift
        --swiftIP --swiftPort --swiftLogin --swiftServicesPACS --swiftPackEachDICOM --storeBaseLocation
        --json --rootDirTemplate --studyDirTemplate --seriesDirTemplate --imageTemplate
    """,
    "px-register": """
        --JSONargs --db --upstreamFile --upstream -p --xcrdir -f --xcrfile --xcrdirfile
        --parseAllFilesWithSubStr --localFileList --objectFileList --PACS --CUBE --CUBEURL
        --CUBEusername --CUBEuserpasswd --swiftServicesPACS --cleanup --debug --json --rootDirTemplate
        --studyDirTemplate --seriesDirTemplate --imageTemplate
    """,
    "px-repack": """
        --JSONargs -p --xcrdir -f --xcrfile --xcrdirfile --parseAllFilesWithSubStr -l --logdir -d
        --datadir --rootDirTemplate --studyDirTemplate --seriesDirTemplate --imageTemplate --cleanup
        --debug
    """,
    "px-report": """
        --reportData --reportDataFile --dblogbasepath --colorize --printReport --csvPrintHeaders
        --csvPrettify --csvSummarize --csvSeparator --reportLayout --seriesSpecial
        --reportHeaderStudyTags --reportHeaderSeriesTags --reportBodySeriesTags --json
    """,
    "px-smdb": """
        --JSONargs -p --xcrdir -f --xcrfile --xcrdirfile --action --actionArgs -l --logdir
        --AccessionNumber --PatientID --PatientName --PatientSex --StudyDate --ModalitiesInStudy
        --Modality --PerformedStationAETitle --StudyDescription --SeriesDescription --SeriesInstanceUID
        --StudyInstanceUID --ProtocolName --AcquisitionProtocolName --AcquisitionProtocolDescription
        --cleanup --debug
    """,
    "px-status": """
        --dblogbasepath --SeriesInstanceUID --StudyInstanceUID --verifySeriesInStudy --json
    """,
}

#: Tool to its options.
OPTIONS = {tool: f"{options} {_OF_EVERY_TOOL}".split() for tool, options in _OPTIONS.items()}
